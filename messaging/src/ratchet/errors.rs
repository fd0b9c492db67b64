//! One error for each question a caller asks.
//!
//! Each names the question: can this key package be used, can a session be begun, joined, loaded, can this be sealed,
//! can this be opened. None carries an error of openmls, whose kinds are not part of any contract here.

/// Why bytes are no key package, or none could be made.
///
/// Of a contact's: nothing can be begun with this contact until they send another card. Of our own: the row is
/// damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyPackageError {
    /// Longer than any key package of this suite.
    #[error("{0} bytes are too many for a key package")]
    Length(usize),
    /// It cannot be read, or is not of the kind this program makes.
    #[error("this is not a key package for this program: {0}")]
    Malformed(&'static str),
    /// Another suite.
    #[error("the key package is of another cipher suite: another version of the program made it")]
    Suite,
    /// Not signed by the key in it.
    #[error("the signature of the key package is wrong: it was changed or forged")]
    Signature,
    /// The generator of randomness failed.
    #[error("no randomness could be drawn")]
    Randomness,
}

/// Why a session could not be begun.
///
/// Nothing was made, so another try needs no cleaning up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The contact's key package is our own, or has the same keys.
    #[error("the key package does not fit a group with us")]
    KeyPackage,
    /// The generator of randomness failed.
    #[error("no randomness could be drawn")]
    Randomness,
}

/// Why a Welcome opens no session.
///
/// Whoever sent it may have been misled or may be hostile; a Welcome that is refused leaves no trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// Longer than any Welcome to a group of two.
    #[error("{0} bytes are too many for a welcome to a group of two")]
    Length(usize),
    /// It cannot be read.
    #[error("this is not a welcome")]
    Malformed,
    /// Sealed to another key package.
    #[error("the welcome is for another key package")]
    OtherKeyPackage,
    /// Made without the pre-shared key, with another one, or changed on the way.
    /// Whoever made it did not have the invite, or not the reset key of this pair.
    #[error("the welcome was not made with this pre-shared key")]
    WrongPsk,
    /// To a group that is not one of two, at its beginning, of this suite.
    /// It was made by a program with other rules.
    #[error("the welcome is to a group of another kind")]
    OtherGroup,
}

/// Why stored pages are no session.
///
/// A session that cannot be loaded is lost: a new group is made in its place, and what waits is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// No session is stored, or part of it is gone.
    /// So it is after a restore from a backup, which holds no sessions.
    #[error("the session, or a page of it, is not in the store")]
    Missing,
    /// A newer program wrote it: update this one, or let it begin a new session with the contact.
    #[error("a newer program wrote the stored session (version {0}); update this one")]
    Newer(u8),
    /// What is stored is not what was written.
    /// The store was changed, or pages of two states were mixed.
    #[error("the stored session is malformed: {0}")]
    Malformed(&'static str),
    /// It belongs to another key package.
    #[error("the stored session belongs to another key package")]
    OtherKeyPackage,
}

/// Why a message could not be made. The session is as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Longer than [`MAX_PLAINTEXT`](super::MAX_PLAINTEXT).
    #[error("{0} bytes are too many for a message")]
    Length(usize),
    /// The generator of randomness failed, or 2^32 messages were sent in this epoch.
    /// A new epoch, or a new group, helps where it was the number of messages.
    #[error("the message could not be encrypted")]
    Exhausted,
}

/// Why a message does not open, and with that what to do. The session is as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It was opened before: forget it.
    #[error("this message was opened before")]
    Repeat,
    /// Its keys are gone: forget it, the sender sends it again.
    #[error("this message is older than what is kept for late ones")]
    TooOld,
    /// It needs a commit, or messages, that are not here yet: hold it for a while.
    #[error("this message comes before what it builds on")]
    Ahead,
    /// Of another group, or not from the contact: forget it.
    #[error("this message is not from the contact, or of another session")]
    Foreign,
    /// Nothing the program sends: forget it.
    #[error("this is not a message")]
    Malformed,
}
