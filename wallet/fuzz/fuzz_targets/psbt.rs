//! Any bytes as a PSBT, against a fixed account: refused or consistent, never a panic.
#![no_main]

use std::sync::LazyLock;

use autonomy_wallet::account::{AccountMap, Birthday};
use autonomy_wallet::bitcoin::Network;
use autonomy_wallet::check::{DeviceView, Unchecked};
use autonomy_wallet::policy::Policy;
use libfuzzer_sys::fuzz_target;

static MAP: LazyLock<AccountMap> = LazyLock::new(|| {
    let vectors: &str = include_str!("../../tests/vectors/accounts.json");
    let start = vectors.find("wsh(").expect("the vectors hold descriptors");
    let text = vectors[start..].split('"').next().expect("a closing quote");
    AccountMap::from_descriptor(text, "fuzz", Network::Regtest, Birthday { height: 0, time: 0 })
        .expect("the vectors are ours")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(unchecked) = Unchecked::from_bytes(bytes) else { return };
    let Ok(proposal) = unchecked.check(&MAP, &DeviceView::default(), &Policy::STANDARD, None) else {
        return;
    };
    let summary = proposal.summary();
    let spent: u64 = summary.inputs.iter().map(|input| input.amount.to_sat()).sum();
    let paid: u64 = summary.outputs.iter().map(|output| output.amount.to_sat()).sum();
    assert_eq!(spent, paid + summary.fee.to_sat());
    // What is sent on passes the same check, as the same payment.
    let again = Unchecked::from_bytes(&proposal.to_bytes())
        .and_then(|again| again.check(&MAP, &DeviceView::default(), &Policy::STANDARD, None))
        .expect("a checked PSBT is one that passes");
    assert_eq!(again.summary(), summary);
});
