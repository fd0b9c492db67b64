//! The pod, its devices, accounts and payments.

use autonomy_api::{
    AbsolutePath, Account, AccountKind, AccountName, AccountOffer, Accounts, AddDevice, Adopt,
    ApprovePayment, BackUp, Balance, BeginAccount, ChainState, ChainStatus, CompleteAccount, Device, Devices,
    History, HistoryEntry, NewPayment, Note, OnionStatus, Payment, PaymentState, Payments, Problem,
    ReceiveAddress, Recipient, Reconcile, ServiceState, ServiceStatus, Status,
};
use autonomy_messaging::{
    Access, AuthSeed, CertificateRole, DescriptorSecret, Name, PublicKey, SealingSecret, SigningKey,
    Validity,
    provision::{Bundle, BundleTerms, PodRequest, SealedBundle},
};
use proptest::prelude::*;
use rand_core::OsRng;

use crate::{read_back, values::*};

read_back! {
    a_status_reads_back: status();
    a_bundle_reads_back: sealed_bundle().prop_map(|bundle| Adopt { bundle });
    a_path_reads_back: "/[a-zä ]{1,20}".prop_map(|path| BackUp { file: AbsolutePath::new(path.into()).unwrap() });
    an_epoch_reads_back: any::<u64>().prop_map(|seen| Reconcile { seen });
    devices_read_back: (some(device()), some(hex()))
        .prop_map(|(devices, spare_descriptor_keys)| Devices { devices, spare_descriptor_keys });
    a_new_device_reads_back: new_device();
    an_account_to_begin_reads_back: (account_name(), kind()).prop_map(|(name, kind)| BeginAccount { name, kind });
    an_offer_reads_back: offer();
    keys_of_an_account_read_back: completed();
    accounts_read_back: some(account()).prop_map(|accounts| Accounts { accounts });
    an_address_reads_back: (any::<u32>(), address()).prop_map(|(index, address)| ReceiveAddress { index, address });
    a_wish_to_pay_reads_back: (some(recipient()), maybe(fee_rate()), maybe(note()))
        .prop_map(|(recipients, fee_rate, note)| NewPayment { recipients, fee_rate, note });
    payments_read_back: some(payment()).prop_map(|payments| Payments { payments });
    an_approval_reads_back: (psbt(), any::<u64>())
        .prop_map(|(psbt, state_epoch)| ApprovePayment { psbt, state_epoch });
    a_history_reads_back: some(entry()).prop_map(|entries| History { entries });
    a_problem_reads_back: (any::<u16>(), "[a-z-]{1,20}", ".{0,20}", ".{0,40}")
        .prop_map(|(status, kind, title, detail)| Problem::new(status, &kind, &title, detail));
}

fn status() -> impl Strategy<Value = Status> {
    let pod = (network(), public_key(), maybe(root()), any::<(u64, u64, u32, u32)>());
    let chain = (chain_state(), any::<u32>(), maybe(block_hash()), any::<Option<u32>>(), maybe(".{0,20}"))
        .prop_map(|(state, height, tip, source_height, detail)| ChainStatus {
            state,
            height,
            tip,
            source_height,
            detail,
        });
    (pod, service(), service(), chain).prop_map(|(pod, app, peer, chain)| {
        let (network, pod_key, owner, (uptime_seconds, state_epoch, devices, accounts)) = pod;
        Status {
            version: "0.1.0".into(),
            network,
            uptime_seconds,
            pod_key,
            owner,
            state_epoch,
            onion: OnionStatus { bootstrap_percent: 100, app, peer },
            chain,
            devices,
            accounts,
            warnings: vec!["look".into()],
        }
    })
}

fn service() -> impl Strategy<Value = ServiceStatus> {
    use ServiceState::{Published, Reachable, Unpublished, Unreachable};
    let state = one_of(&[Unpublished, Published, Reachable, Unreachable]);
    (maybe(onion_address()), state, any::<u64>(), maybe(".{0,20}"))
        .prop_map(|(address, state, since, detail)| ServiceStatus { address, state, since, detail })
}

fn chain_state() -> impl Strategy<Value = ChainState> {
    one_of(&[ChainState::Synced, ChainState::Syncing, ChainState::Away])
}

fn sealed_bundle() -> impl Strategy<Value = SealedBundle> {
    bytes::<32>().prop_map(|seed| {
        let auth = AuthSeed::from_bytes(&seed);
        let pod = SigningKey::from_bytes(&seed);
        let sealing = SealingSecret::from_bytes(&seed).public();
        let request = PodRequest::new(autonomy_messaging::Network::Regtest, &pod, sealing, seed);
        let terms = BundleTerms {
            pod_name: Name::new("home").unwrap(),
            device_key: PublicKey::from(&SigningKey::from_bytes(&[2; 32])),
            descriptor_key: DescriptorSecret::from_bytes(&[9; 32]).public(),
            epoch: 1,
            onion_epoch: 0,
            validity: Validity::lasting(1_800_000_000, 86_400),
        };
        Bundle::new(&auth, &request, terms).seal(&auth, &request, &mut OsRng)
    })
}

fn access() -> impl Strategy<Value = Access> {
    one_of(&[Access::Minimal, Access::Limited, Access::Full])
}

fn device() -> impl Strategy<Value = Device> {
    (device_key(), name(), access(), any::<(u64, Option<u64>, bool)>()).prop_map(
        |(id, name, access, (added_at, last_seen, this_device))| Device {
            id,
            name,
            access,
            added_at,
            last_seen,
            this_device,
        },
    )
}

fn new_device() -> impl Strategy<Value = AddDevice> {
    (bytes::<32>(), public_key(), access(), name(), hex()).prop_map(
        |(seed, key, access, name, descriptor_key)| {
            let role = CertificateRole::Device { access };
            let root = AuthSeed::from_bytes(&seed).root_key();
            let certificate = root.certify(role, &key, 1, Validity::lasting(1_800_000_000, 86_400));
            AddDevice { certificate: certificate.into(), name, descriptor_key }
        },
    )
}

fn kind() -> impl Strategy<Value = AccountKind> {
    one_of(&[AccountKind::TwoOfThree, AccountKind::TwoOfThreeOrRecovery, AccountKind::Shared])
}

fn offer() -> impl Strategy<Value = AccountOffer> {
    (ceremony_id(), account_index(), member_key(), hex(), hex(), any::<(u32, u64)>()).prop_map(
        |(ceremony, account_index, pod_member_key, entropy, signature, (birthday_height, birthday_time))| {
            AccountOffer {
                ceremony,
                account_index,
                pod_member_key,
                entropy,
                signature,
                birthday_height,
                birthday_time,
            }
        },
    )
}

fn completed() -> impl Strategy<Value = CompleteAccount> {
    (member_key(), member_key(), "[ -~]{0,40}", address()).prop_map(
        |(device_member_key, recovery_member_key, descriptor, first_address)| CompleteAccount {
            device_member_key,
            recovery_member_key,
            descriptor,
            first_address,
        },
    )
}

fn account() -> impl Strategy<Value = Account> {
    let balance =
        (amount(), amount(), amount(), amount()).prop_map(|(confirmed, unconfirmed, immature, total)| {
            Balance { confirmed, unconfirmed, immature, total }
        });
    let named = (account_id(), account_name(), kind(), "[ -~]{0,40}");
    (named, address(), account_index(), balance, any::<(u32, u64, u32)>()).prop_map(
        |((id, name, kind, descriptor), first_address, account_index, balance, numbers)| Account {
            id,
            name,
            kind,
            descriptor,
            first_address,
            birthday_height: numbers.0,
            birthday_time: numbers.1,
            account_index,
            balance,
            revealed: numbers.2,
            change: numbers.2,
        },
    )
}

fn recipient() -> impl Strategy<Value = Recipient> {
    (address(), amount()).prop_map(|(address, amount)| Recipient { address, amount })
}

fn payment_state() -> impl Strategy<Value = PaymentState> {
    use PaymentState::{Cancelled, Confirmed, Draft, Failed, Seen, Signed};
    one_of(&[Draft, Signed, Seen, Confirmed, Cancelled, Failed])
}

fn payment() -> impl Strategy<Value = Payment> {
    let named = (payment_id(), account_id(), payment_state(), txid());
    let money = (some(recipient()), amount(), fee_rate(), maybe(psbt()));
    let words = (maybe(note()), maybe(".{0,20}"));
    (named, money, words, any::<(u64, Option<u32>, u32, Option<u32>)>()).prop_map(
        |((id, account, state, txid), (recipients, fee, fee_rate, psbt), (note, detail), numbers)| Payment {
            id,
            account,
            state,
            recipients,
            fee,
            fee_rate,
            txid,
            psbt,
            note,
            created_at: numbers.0,
            confirmed_height: numbers.1,
            confirmations: numbers.2,
            estimated_minutes: numbers.3,
            detail,
        },
    )
}

fn entry() -> impl Strategy<Value = HistoryEntry> {
    let money = (txid(), net(), maybe(amount()));
    (money, any::<(Option<u32>, Option<u64>, u32)>(), maybe(payment_id()), maybe(note())).prop_map(
        |((txid, net, fee), (height, time, confirmations), payment, note)| HistoryEntry {
            txid,
            net,
            fee,
            height,
            time,
            confirmations,
            payment,
            note,
        },
    )
}

#[test]
fn names_are_counted_in_characters() {
    assert!(AccountName::new(&"漢".repeat(64)).is_ok() && AccountName::new(&"漢".repeat(65)).is_err());
    assert!(Note::new(&"é".repeat(256)).is_ok() && Note::new(&"é".repeat(257)).is_err());
}

#[test]
fn names_that_look_alike_are_known_and_hidden_characters_refused() {
    let cafe = AccountName::visible("Caf\u{e9} 1").unwrap();
    for twin in ["Caf\u{e9} 1", "Cafe\u{301} 1", "CAF\u{c9} 1", "caf\u{e9}1", "Caf\u{e9}\u{a0}\u{ff11}"] {
        assert!(cafe.is_like(twin), "{twin:?}");
    }
    assert!(!cafe.is_like("Cafe 1") && !cafe.is_like("Caf\u{e9} 2"));
    for hidden in ["ma\u{202e}in", "sav\u{200b}ings", "\u{feff}main", " main", "main\u{2069}"] {
        assert!(AccountName::visible(hidden).is_err(), "{hidden:?}");
    }
}
