//! Words of the command line for types that are defined elsewhere: the API's, the messenger's, the wallet's.

use autonomy_api::{Access, AccountKind, Reach};
use autonomy_messaging::Network;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// How far a device may go.
pub(crate) fn access() -> impl TypedValueParser<Value = Access> {
    one_of([
        ("minimal", "See the status of the pod", Access::Minimal),
        ("limited", "Also see accounts, get addresses, and propose payments", Access::Limited),
        (
            "full",
            "Everything except signing: also adding devices and cancelling drafts of others",
            Access::Full,
        ),
    ])
}

/// A Bitcoin network.
pub(crate) fn network() -> impl TypedValueParser<Value = Network> {
    one_of([
        ("bitcoin", "The main network, with real money", Network::Bitcoin),
        ("testnet", "Public test network testnet3 (testnet4 is not supported)", Network::Testnet),
        ("signet", "Public test network with signed blocks", Network::Signet),
        ("regtest", "A private network for tests", Network::Regtest),
    ])
}

/// The kind of an account that a pod makes.
pub(crate) fn account_kind() -> impl TypedValueParser<Value = AccountKind> {
    let recovery = "The same, or the recovery key alone after a year without a transaction";
    one_of([
        ("two-of-three", "Any two of device, pod and recovery key", AccountKind::TwoOfThree),
        ("two-of-three-or-recovery", recovery, AccountKind::TwoOfThreeOrRecovery),
    ])
}

/// How contacts reach the pod.
pub(crate) fn reach() -> impl TypedValueParser<Value = Reach> {
    let direct = "At its own address first, and through your relays while it is offline";
    let relays =
        "Through your relays only: contacts do not learn its address, and receipts wait up to ten minutes";
    one_of([("direct", direct, Reach::Direct), ("relays", relays, Reach::Relays)])
}

/// Takes one of these words; each stands in the help with what it means.
#[expect(clippy::expect_used, reason = "clap gives none but the words it was given")]
fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    words: [(&'static str, &'static str, T); N],
) -> impl TypedValueParser<Value = T> {
    let possible = words.map(|(word, help, _)| PossibleValue::new(word).help(help));
    PossibleValuesParser::new(possible).map(move |typed| {
        let found = words.iter().find(|(word, ..)| *word == typed);
        found.expect("clap accepts these words only").2
    })
}
