//! Values of the fields, drawn at random within their rules.

use autonomy_api::{
    AccountId, AccountName, CeremonyId, ContactId, DeviceKey, Hex, InviteId, Note, PaymentId, PsbtBytes,
    SafetyCode, SafetyDigits, SafetyWords, TransferId, place::OnionAddress,
};
use autonomy_messaging::{
    AuthSeed, Name, PublicKey, RootPublic, SafetyNumber, SigningKey,
    invite::Invite,
    payload::{FileName, Text},
    place::{Capability, Place, QueueAddress, QueueId},
};
use autonomy_wallet::{
    bitcoin::{
        Address, Amount, BlockHash, FeeRate, Network, SignedAmount, Txid, WitnessProgram, WitnessVersion,
        address::NetworkUnchecked, hashes::Hash as _,
    },
    keys::{AccountIndex, MemberKey, Seed},
    rate,
};
use proptest::prelude::*;

pub(crate) fn bytes<const N: usize>() -> impl Strategy<Value = [u8; N]> {
    prop::collection::vec(any::<u8>(), N).prop_map(|bytes| bytes.try_into().unwrap())
}

pub(crate) fn contact_id() -> impl Strategy<Value = ContactId> {
    bytes().prop_map(ContactId)
}

pub(crate) fn invite_id() -> impl Strategy<Value = InviteId> {
    bytes().prop_map(InviteId)
}

pub(crate) fn file_id() -> impl Strategy<Value = TransferId> {
    bytes().prop_map(TransferId)
}

pub(crate) fn account_id() -> impl Strategy<Value = AccountId> {
    bytes().prop_map(AccountId::from_bytes)
}

pub(crate) fn payment_id() -> impl Strategy<Value = PaymentId> {
    bytes().prop_map(PaymentId)
}

pub(crate) fn ceremony_id() -> impl Strategy<Value = CeremonyId> {
    bytes().prop_map(CeremonyId)
}

pub(crate) fn device_key() -> impl Strategy<Value = DeviceKey> {
    bytes().prop_map(DeviceKey)
}

pub(crate) fn hex<const N: usize>() -> impl Strategy<Value = Hex<N>> {
    bytes().prop_map(Hex)
}

pub(crate) fn public_key() -> impl Strategy<Value = PublicKey> {
    bytes().prop_map(|seed| PublicKey::from(&SigningKey::from_bytes(&seed)))
}

pub(crate) fn root() -> impl Strategy<Value = RootPublic> {
    bytes().prop_map(|seed| AuthSeed::from_bytes(&seed).root_key().public())
}

pub(crate) fn name() -> impl Strategy<Value = Name> {
    "[a-zA-Zäßπ漢]([a-zA-Z äßπ\\\\\"]{0,12}[a-zA-Zäßπ漢])?".prop_map(|text| Name::new(&text).unwrap())
}

pub(crate) fn account_name() -> impl Strategy<Value = AccountName> {
    "[ -~äπ]{1,16}".prop_map(|text| AccountName::new(&text).unwrap())
}

pub(crate) fn note() -> impl Strategy<Value = Note> {
    "[ -~äπ]{1,64}".prop_map(|text| Note::new(&text).unwrap())
}

pub(crate) fn words() -> impl Strategy<Value = Text> {
    "[ -~äπ\n\t\u{202e}]{1,80}".prop_map(|text| Text::new(&text).unwrap())
}

pub(crate) fn file_name() -> impl Strategy<Value = FileName> {
    "[a-z]{1,20}\\.[a-z]{3}".prop_map(|text| FileName::new(&text).unwrap())
}

pub(crate) fn place() -> impl Strategy<Value = Place> {
    (public_key(), public_key()).prop_map(|(onion, peer)| Place::new(*onion.as_bytes(), peer))
}

pub(crate) fn onion_address() -> impl Strategy<Value = OnionAddress> {
    bytes().prop_map(OnionAddress)
}

pub(crate) fn capability() -> impl Strategy<Value = Capability> {
    bytes().prop_map(Capability::from_bytes)
}

pub(crate) fn invite() -> impl Strategy<Value = Invite> {
    let address = (place(), bytes(), bytes()).prop_map(|(place, queue, deposit)| QueueAddress {
        place,
        queue: QueueId::from_bytes(queue),
        deposit: Capability::from_bytes(deposit),
    });
    (any::<u32>(), root(), bytes(), bytes(), address).prop_map(|(expires, root, psk, package, address)| {
        Invite::new(expires.into(), root, psk, package, address)
    })
}

pub(crate) fn safety() -> impl Strategy<Value = (SafetyDigits, SafetyWords, SafetyCode)> {
    (root(), root()).prop_map(|(one, other)| {
        let number = SafetyNumber::between(&one, &other);
        ((&number).into(), (&number).into(), (&number).into())
    })
}

pub(crate) fn network() -> impl Strategy<Value = autonomy_messaging::Network> {
    prop::sample::select(&autonomy_messaging::Network::ALL[..])
}

pub(crate) fn txid() -> impl Strategy<Value = Txid> {
    bytes().prop_map(Txid::from_byte_array)
}

pub(crate) fn block_hash() -> impl Strategy<Value = BlockHash> {
    bytes().prop_map(BlockHash::from_byte_array)
}

pub(crate) fn amount() -> impl Strategy<Value = Amount> {
    let most = Amount::MAX_MONEY.to_sat();
    prop_oneof![Just(0), Just(most), 0..=most].prop_map(Amount::from_sat)
}

pub(crate) fn net() -> impl Strategy<Value = SignedAmount> {
    (amount(), any::<bool>()).prop_map(|(amount, lost)| {
        let gained = amount.to_signed().unwrap();
        if lost { -gained } else { gained }
    })
}

/// Each rate that the wallet can express, up to the highest that it reads.
pub(crate) fn fee_rate() -> impl Strategy<Value = FeeRate> {
    prop_oneof![Just(rate::sat_per_vb(1)), (0_u64..=1_000_000_000).prop_map(FeeRate::from_sat_per_kwu)]
}

pub(crate) fn address() -> impl Strategy<Value = Address<NetworkUnchecked>> {
    let network = prop::sample::select(vec![Network::Bitcoin, Network::Testnet, Network::Regtest]);
    (network, bytes::<32>()).prop_map(|(network, program)| {
        let program = WitnessProgram::new(WitnessVersion::V0, &program).unwrap();
        Address::from_witness_program(program, network).into_unchecked()
    })
}

pub(crate) fn account_index() -> impl Strategy<Value = AccountIndex> {
    (0_u32..1 << 31).prop_map(|index| AccountIndex::new(index).unwrap())
}

pub(crate) fn member_key() -> impl Strategy<Value = MemberKey> {
    (bytes::<32>(), account_index()).prop_map(|(entropy, index)| {
        *Seed::from_entropy(&entropy).unwrap().account_key(Network::Regtest, index).public()
    })
}

pub(crate) fn psbt() -> impl Strategy<Value = PsbtBytes> {
    prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| PsbtBytes::new(bytes).unwrap())
}

pub(crate) fn maybe<T: Strategy>(strategy: T) -> impl Strategy<Value = Option<T::Value>> {
    prop::option::of(strategy)
}

pub(crate) fn some<T: Strategy>(strategy: T) -> impl Strategy<Value = Vec<T::Value>> {
    prop::collection::vec(strategy, 0..3)
}

/// One of these.
pub(crate) fn one_of<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = T> {
    prop::sample::select(values.to_vec())
}
