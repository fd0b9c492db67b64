//! What a contact keeps of a person: which pod acts for them, where frames reach it, and how to begin a new session.
//!
//! A card is signed by the pod, and the root's certificate for the pod is in it: whoever pinned the root can check it
//! alone. Each contact gets a card of its own, for its queues are its own. A later version replaces an earlier one.
//!
//! ```text
//! "acrd" · format 1 · version 4 · certificate 158 · leaf key 32 · name 1 + n · places 1 + n × 129 · key package 2 +
//! n · signature 64
//! ```
//!
//! A card grants the right to deposit in the queues it names, so it goes to its contact only, through the ratchet. It
//! is also what makes resets possible: with the key package in it a contact can begin a new group while the pod is
//! away.

use std::fmt;

use autonomy_codec::{Reader, put_bytes_u8, put_bytes_u16};
use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

use crate::place::{Capability, PLACE_LEN, Place, QueueAddress, QueueId};
use crate::ratchet::MAX_KEY_PACKAGE;
use crate::{
    CERTIFICATE_LEN, Certificate, CertificateError, CertificateRole, MAX_NAME_LEN, MalformedCertificate,
    Name, PublicKey, RoleKind, RootPublic, UnverifiedCertificate,
};

/// Most places of one person: their pod and seven relays.
pub const MAX_PLACES: usize = 8;

/// Longest signed card: magic and format (5), version (4), certificate (158), leaf key (32), name (1 + 64), places
/// (1 + 8 · 129), key package (2 + 2,816), signature (64): 4,179 bytes, one part of a packet.
pub const MAX_CARD: usize = 5
    + 4
    + CERTIFICATE_LEN
    + 32
    + 1
    + MAX_NAME_LEN
    + 1
    + MAX_PLACES * CARD_PLACE_LEN
    + 2
    + MAX_KEY_PACKAGE
    + SIGNATURE_LEN;

/// Flags (1), place (64), queue (32), capability (32).
const CARD_PLACE_LEN: usize = 1 + PLACE_LEN + 32 + 32;
/// Ed25519.
const SIGNATURE_LEN: usize = 64;
/// What a card begins with.
const MAGIC: &[u8; 4] = b"acrd";
/// The only format so far.
const FORMAT: u8 = 1;
/// What the signed bytes begin with, so that no other signature of a pod passes for one of a card.
const DOMAIN: &[u8] = b"autonomy card v1\0";

const _: () = assert!(MAX_CARD == 4_179 && MAX_CARD + 3 <= crate::packet::MAX_PART);

/// A card whose certificate and signature were checked, or that is our own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Card {
    version: u32,
    name: Name,
    certificate: Certificate,
    leaf_key: PublicKey,
    places: Vec<CardPlace>,
    key_package: Vec<u8>,
}

/// One of the places where frames reach somebody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CardPlace {
    /// Where, and with what right.
    pub address: QueueAddress,
    /// Whether it is the person's own pod: frames come there directly.
    pub own: bool,
}

/// The bytes of a card and the pod's signature.
///
/// Sent as it is; its receiver parses and verifies it as an [`UnverifiedCard`]. Wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedCard(Zeroizing<Vec<u8>>);

/// A well-formed card that nobody has checked yet.
///
/// Has nothing to read but [`claimed_root`](Self::claimed_root) until it is verified.
#[derive(Clone)]
pub struct UnverifiedCard {
    version: u32,
    name: Name,
    certificate: UnverifiedCertificate,
    leaf_key: PublicKey,
    places: Vec<CardPlace>,
    key_package: Vec<u8>,
    signature: [u8; 64],
    /// The bytes before the signature.
    signed: Zeroizing<Vec<u8>>,
}

/// Why a card cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCard {
    /// None, or more than [`MAX_PLACES`].
    #[error("a card has 1 to {MAX_PLACES} places, this has {0}")]
    Places(usize),
    /// One place or queue twice.
    #[error("place {0} of the card is there already")]
    Repeated(usize),
    /// The own pod comes first.
    #[error("place {0} of the card cannot be the own pod: that comes first")]
    OwnPlace(usize),
    /// Empty, or longer than a key package can be.
    #[error("the key package of a card has 1 to {MAX_KEY_PACKAGE} bytes, this has {0}")]
    KeyPackage(usize),
    /// The certificate is that of a device.
    #[error("a card needs the certificate of a pod")]
    NotAPod,
}

/// The key is not the one in the card's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the key of the pod that the card's certificate is for")]
pub struct WrongPodKey;

/// Why bytes are no card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedCard {
    /// Longer than [`MAX_CARD`].
    #[error("a card has at most {MAX_CARD} bytes, this has {0}")]
    Length(usize),
    /// Something else.
    #[error("this is not a card")]
    NotACard,
    /// A format this program does not know.
    #[error("card format {0} is not known here: a newer program wrote it, update this one")]
    Format(u8),
    /// The certificate in it is none.
    #[error("the certificate in the card is malformed: {0}")]
    Certificate(MalformedCertificate),
    /// What it says could not be said by an honest pod.
    #[error("the card is malformed: {0}")]
    Content(#[from] BadCard),
    /// A field is missing, out of its bounds, or something follows the last.
    #[error("a field of the card is missing, wrong, or too many")]
    Field,
}

/// Why a well-formed card does not convince.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// The certificate of the pod does not hold.
    #[error("the certificate in the card does not hold: {0}")]
    Certificate(#[from] CertificateError),
    /// The pod did not sign it.
    #[error("the pod did not sign this card: it was changed or forged")]
    BadSignature,
}

impl Card {
    /// Puts a card together. `version` grows with each card for this contact; `key_package` is an encoded MLS
    /// KeyPackage whose signature key is `leaf_key`, which also signs in the session with this contact.
    ///
    /// # Errors
    /// [`BadCard`] says which rule is broken. The same rules are held against cards of others.
    pub fn new(
        version: u32,
        name: Name,
        certificate: Certificate,
        leaf_key: PublicKey,
        places: Vec<CardPlace>,
        key_package: Vec<u8>,
    ) -> Result<Self, BadCard> {
        if certificate.role() != CertificateRole::Pod {
            return Err(BadCard::NotAPod);
        }
        check(&places, &key_package)?;
        Ok(Self { version, name, certificate, leaf_key, places, key_package })
    }

    /// Signs it with the key that its certificate is for.
    ///
    /// # Errors
    /// [`WrongPodKey`] if the certificate is for another key: nobody would take the card.
    pub fn sign(&self, pod: &SigningKey) -> Result<SignedCard, WrongPodKey> {
        if PublicKey::from(pod) != self.certificate.subject() {
            return Err(WrongPodKey);
        }
        let mut bytes = self.unsigned();
        let signature = pod.sign(&message(&bytes)).to_bytes();
        bytes.extend_from_slice(&signature);
        Ok(SignedCard(bytes))
    }

    /// Which of the cards for this contact it is: the highest counts.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What the person calls their pod or themselves. Chosen by them, and not unique.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Whose card it is.
    #[must_use]
    pub fn root(&self) -> RootPublic {
        self.certificate.root()
    }

    /// Who the pod is. Against the one known before, ask [`Certificate::replaces`] too.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// What signs in the session with this contact.
    #[must_use]
    pub fn leaf_key(&self) -> PublicKey {
        self.leaf_key
    }

    /// Where frames reach the person; the first may be their own pod.
    #[must_use]
    pub fn places(&self) -> &[CardPlace] {
        &self.places
    }

    /// The encoded MLS KeyPackage to begin a new session with.
    #[must_use]
    pub fn key_package(&self) -> &[u8] {
        &self.key_package
    }

    /// All fields but the signature.
    #[expect(clippy::expect_used, reason = "the constructor takes eight places at most")]
    fn unsigned(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_CARD));
        out.extend_from_slice(MAGIC);
        out.push(FORMAT);
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.certificate.to_bytes());
        out.extend_from_slice(self.leaf_key.as_bytes());
        put_bytes_u8(&mut out, self.name.as_str().as_bytes());
        out.push(u8::try_from(self.places.len()).expect("bounded in the constructor"));
        self.places.iter().for_each(|place| place.write(&mut out));
        put_bytes_u16(&mut out, &self.key_package);
        out
    }
}

impl SignedCard {
    /// The bytes to be sent. Secret: whoever has them may deposit in the queues.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same, without a copy.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut *self.0)
    }
}

impl UnverifiedCard {
    /// Reads what [`Card::sign`] wrote, and nothing else.
    ///
    /// # Errors
    /// [`MalformedCard`] says whether it is the length, the format, the certificate, a rule of cards, or a field.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedCard> {
        if bytes.len() > MAX_CARD {
            return Err(MalformedCard::Length(bytes.len()));
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(MalformedCard::NotACard)?;
        let (format, rest) = rest.split_first().ok_or(MalformedCard::Field)?;
        if *format != FORMAT {
            return Err(MalformedCard::Format(*format));
        }
        let mut reader = Reader::new(rest);
        let version = reader.u32().ok_or(MalformedCard::Field)?;
        let certificate = reader.take(CERTIFICATE_LEN).ok_or(MalformedCard::Field)?;
        let certificate = UnverifiedCertificate::parse(certificate).map_err(MalformedCard::Certificate)?;
        let mut card = Self::read(version, certificate, &mut reader).ok_or(MalformedCard::Field)?;
        if !reader.is_empty() {
            return Err(MalformedCard::Field);
        }
        check(&card.places, &card.key_package)?;
        card.signed = Zeroizing::new(bytes[..bytes.len() - SIGNATURE_LEN].to_vec());
        Ok(card)
    }

    /// The fields behind the certificate.
    fn read(version: u32, certificate: UnverifiedCertificate, reader: &mut Reader<'_>) -> Option<Self> {
        let leaf_key = PublicKey::from_bytes(&reader.array()?).ok()?;
        let name = Name::new(std::str::from_utf8(reader.bytes_u8()?).ok()?).ok()?;
        let count = reader.u8().filter(|count| usize::from(*count) <= MAX_PLACES)?;
        let places = (0..count).map(|_| CardPlace::read(reader)).collect::<Option<_>>()?;
        let key_package = reader.bytes_u16()?.to_vec();
        let (signature, signed) = (reader.array()?, Zeroizing::default());
        Some(Self { version, name, certificate, leaf_key, places, key_package, signature, signed })
    }

    /// Who it says to be from. A claim, for those who do not know a root yet.
    #[must_use]
    pub fn claimed_root(&self) -> RootPublic {
        self.certificate.claimed_root()
    }

    /// Checks that `root` certified the pod, at `now` (seconds since 1970), and that the pod signed the card.
    ///
    /// # Errors
    /// [`CardError::Certificate`] if the certificate is not of `root`, not a pod's, or not valid at `now`;
    /// [`CardError::BadSignature`] if the pod did not sign these bytes.
    pub fn verify(self, root: &RootPublic, now: u64) -> Result<Card, CardError> {
        self.certificate.verify(root, RoleKind::Pod, now)?;
        self.verify_kept(root)
    }

    /// As [`verify`](Self::verify), without a look at the time: for a card read back from a store, whose time was looked
    /// at when it came.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), but for the time.
    pub fn verify_kept(self, root: &RootPublic) -> Result<Card, CardError> {
        let certificate = self.certificate.verify_kept(root, RoleKind::Pod)?;
        if !certificate.subject().signed(&message(&self.signed), &self.signature) {
            return Err(CardError::BadSignature);
        }
        let Self { version, name, leaf_key, places, key_package, .. } = self;
        Ok(Card { version, name, certificate, leaf_key, places, key_package })
    }
}

impl CardPlace {
    /// Flags (1), place (64), queue (32), capability (32).
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.own));
        out.extend_from_slice(&self.address.place.to_bytes());
        out.extend_from_slice(self.address.queue.as_bytes());
        out.extend_from_slice(self.address.deposit.as_bytes());
    }

    /// Unknown flags are refused: one place has one encoding.
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let own = reader.u8().filter(|flags| *flags <= 1)? == 1;
        let place = Place::from_bytes(&reader.array()?)?;
        let queue = QueueId::from_bytes(reader.array()?);
        let deposit = Capability::from_bytes(reader.array()?);
        Some(Self { address: QueueAddress { place, queue, deposit }, own })
    }
}

/// What holds for every card, our own or another's.
///
/// No place and no queue twice, since each would get every frame twice; the own pod first, for it is tried first.
fn check(places: &[CardPlace], key_package: &[u8]) -> Result<(), BadCard> {
    if !(1..=MAX_PLACES).contains(&places.len()) {
        return Err(BadCard::Places(places.len()));
    }
    for (number, place) in places.iter().enumerate() {
        let taken = |other: &CardPlace| {
            other.address.place == place.address.place || other.address.queue == place.address.queue
        };
        if places[..number].iter().any(taken) {
            return Err(BadCard::Repeated(number));
        }
        if place.own && number > 0 {
            return Err(BadCard::OwnPlace(number));
        }
    }
    if !(1..=MAX_KEY_PACKAGE).contains(&key_package.len()) {
        return Err(BadCard::KeyPackage(key_package.len()));
    }
    Ok(())
}

/// What is signed: no other kind of message starts like this.
fn message(unsigned: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([DOMAIN, unsigned].concat())
}

impl fmt::Debug for SignedCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedCard({} bytes)", self.0.len())
    }
}

impl fmt::Debug for UnverifiedCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedCard")
            .field("version", &self.version)
            .field("certificate", &self.certificate)
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}
