//! Why nothing is signed.

use crate::account::{Keychain, MemberLabel};
use crate::bitcoin::bip32::Fingerprint;
use crate::bitcoin::{Address, Amount, FeeRate, Network, OutPoint, PublicKey, Txid};
use crate::check::{MAX_HINTS, MAX_INPUTS, MAX_OUTPUTS, MAX_PSBT_BYTES, MAX_WEIGHT};
use crate::rate::to_sat_per_vb;

/// A PSBT that is not signed, and the rule it breaks. Inputs and outputs are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckRefusal {
    // --- the bytes ---
    /// Over the size limit; not parsed.
    #[error("{0} bytes of PSBT, at most {MAX_PSBT_BYTES} are read")]
    TooLarge(usize),
    /// Not a version 0 PSBT (BIP-174).
    #[error("not a PSBT: {0}")]
    Malformed(String),
    /// Something follows the PSBT.
    #[error("{0} bytes follow the PSBT")]
    TrailingBytes(usize),
    /// PSBT version 2 or later.
    #[error("PSBT version {0}; only version 0 (BIP-174) is read")]
    Version(u32),

    // --- the transaction as a whole ---
    /// Neither 2 nor anything that relative locks need.
    #[error("transaction version {0}, must be 2")]
    TxVersion(i32),
    /// Nothing spent or nothing paid.
    #[error("the transaction has no {0}")]
    Empty(&'static str),
    /// Too many inputs or outputs.
    #[error("{count} {what}, at most {most} are signed")]
    TooMany {
        /// "inputs" or "outputs".
        what: &'static str,
        /// How many there are.
        count: usize,
        /// [`MAX_INPUTS`] or [`MAX_OUTPUTS`].
        most: usize,
    },
    /// More than nodes relay.
    #[error("the signed transaction would weigh up to {0} units, nodes relay {MAX_WEIGHT}")]
    TooHeavy(u64),
    /// A lock that keeps the payment from being mined now.
    #[error(
        "lock time {found}: not valid at the current height {height:?}; it could be broadcast much later"
    )]
    LockTime {
        /// The lock time as it stands in the transaction.
        found: u32,
        /// Our height, if known.
        height: Option<u32>,
    },
    /// The amounts are out of range or add up to more than there is.
    #[error("the amounts of the {0} add up to more than 21 million bitcoin")]
    AmountRange(&'static str),
    /// Pays more than it spends.
    #[error("the outputs ({paid}) exceed the inputs ({spent})")]
    Overspent {
        /// Sum of inputs.
        spent: Amount,
        /// Sum of outputs.
        paid: Amount,
    },

    // --- inputs ---
    /// The same coin twice.
    #[error("input {input} spends the same coin as input {first}")]
    DuplicateInput {
        /// The second use.
        input: usize,
        /// The first use.
        first: usize,
    },
    /// Not the sequence number of a replaceable payment without relative lock.
    #[error("input {input}: sequence {found:#010x}, must be 0xfffffffd (replaceable, no relative lock)")]
    Sequence {
        /// Which input.
        input: usize,
        /// Its sequence number.
        found: u32,
    },
    /// More derivation hints than any account needs.
    #[error("{place} {number}: {count} derivation hints, at most {MAX_HINTS} are looked at")]
    TooManyHints {
        /// "input" or "output".
        place: &'static str,
        /// Which one.
        number: usize,
        /// How many hints.
        count: usize,
    },
    /// Derivation hints that lead to more than one address.
    #[error("{place} {number}: the derivation hints name different addresses")]
    ContradictoryHints {
        /// "input" or "output".
        place: &'static str,
        /// Which one.
        number: usize,
    },
    /// The coin does not belong to this account.
    #[error("input {input}: {outpoint} is not a coin of this account")]
    ForeignInput {
        /// Which input.
        input: usize,
        /// The coin.
        outpoint: OutPoint,
    },
    /// Our own view of the chain does not have the coin.
    #[error("input {input}: {outpoint} is not among the account's coins on our chain")]
    UnknownCoin {
        /// Which input.
        input: usize,
        /// The coin.
        outpoint: OutPoint,
    },
    /// The coin is spent.
    #[error("input {input}: the coin was spent by {by}")]
    SpentCoin {
        /// Which input.
        input: usize,
        /// The spender.
        by: Txid,
    },
    /// A mining reward that may not be spent yet.
    #[error("input {input}: a mining reward younger than 100 blocks")]
    ImmatureCoin {
        /// Which input.
        input: usize,
    },
    /// An address too far past those in use.
    #[error("input {input}: {keychain} address {index} is past the gap limit (last known: {})", in_words(*last))]
    InputBeyondGap {
        /// Which input.
        input: usize,
        /// Which addresses.
        keychain: Keychain,
        /// The address index.
        index: u32,
        /// The last one known to be in use.
        last: Option<u32>,
    },
    /// `non_witness_utxo` is missing: the amount cannot be verified.
    #[error("input {input}: the full previous transaction (non_witness_utxo) is missing")]
    MissingPrevious {
        /// Which input.
        input: usize,
    },
    /// `non_witness_utxo` is another transaction.
    #[error("input {input}: non_witness_utxo is transaction {found}, the input spends {expected}")]
    WrongPrevious {
        /// Which input.
        input: usize,
        /// Whose id it has.
        found: Txid,
        /// What the input names.
        expected: Txid,
    },
    /// The previous transaction has no such output.
    #[error("input {input}: the previous transaction has no output {vout}")]
    NoSuchOutput {
        /// Which input.
        input: usize,
        /// The missing output.
        vout: u32,
    },
    /// `witness_utxo` contradicts the previous transaction.
    #[error("input {input}: the {field} in witness_utxo is not that of the previous transaction")]
    LyingUtxo {
        /// Which input.
        input: usize,
        /// "amount" or "script".
        field: &'static str,
    },
    /// `redeem_script` on an input that has none.
    #[error("input {input}: redeem_script is set, coins of this account have none")]
    RedeemScript {
        /// Which input.
        input: usize,
    },
    /// `witness_script` is not the account's.
    #[error("input {input}: witness_script is not the one the account map gives")]
    WitnessScript {
        /// Which input.
        input: usize,
    },
    /// Final scripts in a PSBT that is to be signed.
    #[error("input {input}: already finalised; ask for the PSBT with partial signatures")]
    AlreadyFinal {
        /// Which input.
        input: usize,
    },

    // --- signatures ---
    /// Asks for a signature that does not cover the whole transaction.
    #[error("input {input}: asks for sighash type {found:#x}; only ALL (0x1) is signed")]
    Sighash {
        /// Which input.
        input: usize,
        /// What was asked for.
        found: u32,
    },
    /// A signature that does not cover the whole transaction.
    #[error("input {input}: the signature of {key} has sighash type {found:#x}; only ALL (0x1) is taken")]
    SignatureSighash {
        /// Which input.
        input: usize,
        /// Whose signature.
        key: PublicKey,
        /// Its type.
        found: u32,
    },
    /// A signature by a key that has no say over this coin.
    #[error("input {input}: a signature by {key}, which is not a member's key")]
    UnknownSigner {
        /// Which input.
        input: usize,
        /// The key.
        key: PublicKey,
    },
    /// A signature that does not verify.
    #[error("input {input}: the signature of {member} does not fit this transaction")]
    BadSignature {
        /// Which input.
        input: usize,
        /// Whose signature.
        member: MemberLabel,
    },
    /// The other side signed another transaction.
    #[error("the signed PSBT is for transaction {found}, approved was {approved}")]
    DifferentTransaction {
        /// Theirs.
        found: Txid,
        /// Ours.
        approved: Txid,
    },

    // --- outputs ---
    /// Claims to be ours and is not.
    #[error(
        "output {output} is marked as our {keychain} address {index} but is not; somebody else would get it"
    )]
    ForeignChange {
        /// Which output.
        output: usize,
        /// What it claims to be.
        keychain: Keychain,
        /// The index it claims.
        index: u32,
    },
    /// Carries our fingerprint on a path that no address of the account has.
    #[error("output {output} carries our key fingerprint on a path the account does not use")]
    ForeignPath {
        /// Which output.
        output: usize,
    },
    /// Ours, but so far out that a restored wallet would not find it.
    #[error("output {output}: {keychain} address {index} is past the gap limit (last known: {})", in_words(*last))]
    ChangeBeyondGap {
        /// Which output.
        output: usize,
        /// Which addresses.
        keychain: Keychain,
        /// The address index.
        index: u32,
        /// The last one known to be in use.
        last: Option<u32>,
    },
    /// A script that cannot be shown as an address.
    #[error("output {output} pays to a script that has no address; nobody can check it on a screen")]
    NoAddress {
        /// Which output.
        output: usize,
    },
    /// Too small to be relayed.
    #[error("output {output}: {amount} is dust, the network does not relay it")]
    Dust {
        /// Which output.
        output: usize,
        /// Its amount.
        amount: Amount,
    },

    // --- fees ---
    /// Over the absolute limit.
    #[error("a fee of {fee}, the limit is {most}")]
    FeeAbsolute {
        /// The fee.
        fee: Amount,
        /// The limit.
        most: Amount,
    },
    /// Over the limit by rate.
    #[error("a fee rate of {} sat/vB, the limit is {} sat/vB", to_sat_per_vb(*.rate), to_sat_per_vb(*.most))]
    FeeRate {
        /// The rate.
        rate: FeeRate,
        /// The limit.
        most: FeeRate,
    },
    /// Over the limit by share.
    #[error("a fee of {fee} for a payment of {paid}, the limit is {percent} %")]
    FeeShare {
        /// The fee.
        fee: Amount,
        /// What others receive (or the account itself, if nobody else does).
        paid: Amount,
        /// The limit in percent.
        percent: u64,
    },
    /// More than the intent asked for.
    #[error("a fee of {fee}, the rate agreed on allows {most}")]
    FeeAboveAgreed {
        /// The fee.
        fee: Amount,
        /// What the agreed rate comes to.
        most: Amount,
    },
    /// Less than the intent asked for: the payment would wait longer than agreed.
    #[error("a fee of {fee}, the rate agreed on asks for at least {least}")]
    FeeBelowAgreed {
        /// The fee.
        fee: Amount,
        /// What the agreed rate comes to.
        least: Amount,
    },

    // --- against the intent ---
    /// The intent is for another network.
    #[error("the payment is meant for {intent}, the account is on {account}")]
    WrongNetwork {
        /// The intent's network.
        intent: Network,
        /// The account's.
        account: Network,
    },
    /// Nobody pays this recipient: it was left out, or another put in its place.
    #[error("recipient {} ({address}) is not paid", recipient + 1)]
    RecipientMissing {
        /// Which recipient of the intent, from 0.
        recipient: usize,
        /// Who it is.
        address: Address,
    },
    /// The recipient is right, the amount is not.
    #[error("output {} pays {found} to recipient {}, agreed was {agreed}", output + 1, recipient + 1)]
    AmountChanged {
        /// Which output.
        output: usize,
        /// Which recipient of the intent, from 0.
        recipient: usize,
        /// What it pays.
        found: Amount,
        /// What was agreed.
        agreed: Amount,
    },
    /// Somebody is paid whom the intent does not know.
    #[error("output {output} pays {amount} to {address}, whom the payment does not name")]
    UnknownRecipient {
        /// Which output.
        output: usize,
        /// Who it is.
        address: Address,
        /// What it pays.
        amount: Amount,
    },
    /// More than one output back to ourselves, or one to a receiving address, or any when emptying.
    #[error("output {output} goes back to the account where no change is expected")]
    UnexpectedChange {
        /// Which output.
        output: usize,
    },

    // --- after the check ---
    /// The approval is for something else.
    #[error("what was approved is not what is to be signed; show the proposal again")]
    NotWhatWasShown,
    /// The key is not a member of this account.
    #[error("the key with fingerprint {0} is not a member's key in this account")]
    NotAMember(Fingerprint),
    /// Not enough signatures.
    #[error("input {input} is signed by {found} members, {needed} are needed")]
    MissingSignatures {
        /// Which input.
        input: usize,
        /// How many members have signed it.
        found: usize,
        /// The account's threshold.
        needed: usize,
    },
    /// miniscript could not satisfy the scripts with verified signatures.
    #[error("the transaction cannot be completed: {0}")]
    Finalise(String),
}

impl CheckRefusal {
    pub(crate) fn too_many_inputs(count: usize) -> Self {
        Self::TooMany { what: "inputs", count, most: MAX_INPUTS }
    }

    pub(crate) fn too_many_outputs(count: usize) -> Self {
        Self::TooMany { what: "outputs", count, most: MAX_OUTPUTS }
    }
}

/// The number of an address, where there is one.
fn in_words(last: Option<u32>) -> String {
    last.map_or_else(|| "none".to_owned(), |last| last.to_string())
}
