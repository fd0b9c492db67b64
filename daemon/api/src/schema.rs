//! The schemas of fields that are text or numbers in JSON and have a type here: each stands once in the OpenAPI document,
//! with the rule that a parser checks.
//!
//! `#[schema(value_type = schema::Txid)]` is for a field. No value of these types exists.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

/// Declares schemas: of texts by their pattern, of numbers by their bounds.
macro_rules! schemas {
    ($($doc:literal $name:ident = $schema:expr;)+) => {$(
        #[doc = $doc]
        #[derive(Debug)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let schema: ObjectBuilder = $schema;
                schema.description(Some($doc)).build().into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

schemas! {
    "A device: its Ed25519 key." DeviceKey = hexadecimal(64);
    "A contact: the first 16 bytes of SHA-256 of a label and their root key." ContactId = hexadecimal(32);
    "An invite: random." InviteId = hexadecimal(16);
    "A file that is sent to one contact: random." FileId = hexadecimal(32);
    "An account: the first 16 bytes of SHA-256 of its descriptor." AccountId = hexadecimal(32);
    "The making of an account: random." CeremonyId = hexadecimal(32);
    "A payment: random." PaymentId = hexadecimal(32);
    "A transaction." Txid = hexadecimal(64);
    "A block." BlockHash = hexadecimal(64);
    "A hash or a public key of 32 bytes." Bytes32 = hexadecimal(64);
    "A signature of 64 bytes (Ed25519)." Signature = hexadecimal(128);
    "A person, as `did:key` of an Ed25519 key." Identity = text("^did:key:z6Mk[1-9A-HJ-NP-Za-km-z]+$");
    "Where messages are left: a libp2p address of an onion service."
        Place = text("^/onion3/[a-z2-7]{56}:4001/p2p/[1-9A-HJ-NP-Za-km-z]+$");
    "A Bitcoin address of the pod's network." Address = text("^[0-9A-Za-z]{14,90}$");
    "A key as a BIP-380 key expression, with its origin."
        MemberKey = text(r"^\[[0-9a-f]{8}(/[0-9]+h)*\][0-9A-Za-z]+(/[0-9]+)*$");
    "A PSBT (BIP-174) in base64." Psbt = text("^[0-9A-Za-z+/]*={0,2}$");
    "One visible line of 1 to 64 bytes, without spaces at its ends." Name = bounded(1, 64);
    "1 to 64 characters of text without control characters." AccountName = bounded(1, 64);
    "1 to 256 characters of text without control characters." Note = bounded(1, 256);
    "The name of a file, 1 to 255 bytes, no path." FileName = bounded(1, 255);
    "1 byte to 16 KiB of UTF-8 without NUL." Words = bounded(1, 16_384);
    "Digits of a safety number." SafetyDigits = text("^[0-9]{5}( [0-9]{5}){11}$");
    "Words of a safety number (BIP-39 list)." SafetyWords = text("^[a-z]{3,8}( [a-z]{3,8}){17}$");
    "A full onion address." OnionAddress = text(r"^[a-z2-7]{56}\.onion$");
    "Satoshi, at most 21 million bitcoin." Sat = whole(0.0);
    "Satoshi gained (positive) or lost, at most 21 million bitcoin." NetSat = whole(-MAX_SAT);
    "Satoshi a virtual byte." FeeRate = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0.0));
}

/// 21 million bitcoin.
const MAX_SAT: f64 = 2_100_000_000_000_000.0;

fn text(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

fn hexadecimal(digits: usize) -> ObjectBuilder {
    text(&format!("^[0-9a-f]{{{digits}}}$"))
}

/// A text of so many bytes; a schema counts characters, of which there are no more.
fn bounded(least: usize, most: usize) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.min_length(Some(least)).max_length(Some(most))
}

fn whole(least: f64) -> ObjectBuilder {
    let number = ObjectBuilder::new().schema_type(Type::Integer);
    number.minimum(Some(least)).maximum(Some(MAX_SAT))
}
