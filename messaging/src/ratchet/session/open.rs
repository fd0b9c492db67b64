//! Taking what the peer sent.
//!
//! The order of the checks decides what a hostile message can cost: lengths and kinds first, then the group and the
//! epoch, then decryption, then the rules of this program. Only a message that passes all of them changes anything.

use openmls::framing::errors::MessageDecryptionError;
use openmls::group::{ProcessMessageError, StageCommitError, ValidationError};
use openmls::prelude::tls_codec::Deserialize as _;
use openmls::prelude::{
    ContentType, MlsMessageBodyIn, MlsMessageIn, PrivateMessageIn, ProcessedMessageContent, Sender,
    StagedCommit,
};
use zeroize::Zeroizing;

use super::super::provider::Provider;
use super::super::storage::StorageError;
use super::super::{MAX_COMMIT, MAX_PLAINTEXT, OVERHEAD, OpenError, PAST_EPOCHS};
use super::state::is_group_of_two;
use super::{Session, Turn};

impl Session {
    /// Opens a message of the peer, and takes the commit that came with it if it begins the next epoch.
    ///
    /// A commit of an earlier epoch is passed over. The changes must be stored before the message is
    /// acknowledged.
    ///
    /// # Errors
    /// [`OpenError`] says what to do: forget the message, hold it, or expect it again. The session is as before.
    pub fn open(&mut self, commit: Option<&[u8]>, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let message = self.parse(message, MAX_PLAINTEXT + OVERHEAD, ContentType::Application)?;
        let commit = commit.map(|bytes| self.parse(bytes, MAX_COMMIT, ContentType::Commit)).transpose()?;
        match commit {
            Some(commit) if commit.epoch().as_u64() + 1 != message.epoch().as_u64() => {
                Err(OpenError::Malformed)
            }
            Some(commit) if commit.epoch() == self.group.epoch() => self.open_in_next(commit, message),
            _ => self.open_here(message),
        }
    }

    /// Takes the commit and the message, or neither.
    fn open_in_next(
        &mut self,
        commit: PrivateMessageIn,
        message: PrivateMessageIn,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let before = (self.entities.clone(), self.turn.clone());
        let opened = self.follow(commit).and_then(|()| self.open_here(message));
        if opened.is_err() {
            self.roll_back(before);
        }
        opened
    }

    /// Opens a message of this epoch or one of those before it.
    fn open_here(&mut self, message: PrivateMessageIn) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let epoch = message.epoch().as_u64();
        if epoch > self.epoch() {
            return Err(OpenError::Ahead);
        }
        if epoch + (PAST_EPOCHS as u64) < self.epoch() {
            return Err(OpenError::TooOld);
        }
        let ProcessedMessageContent::ApplicationMessage(content) = self.process(message)? else {
            return Err(OpenError::Foreign);
        };
        if epoch == self.epoch() {
            self.turn = Turn { heard: true, unacked: None };
        }
        self.changed = true;
        Ok(Zeroizing::new(content.into_bytes()))
    }

    /// Follows the peer into the next epoch.
    fn follow(&mut self, commit: PrivateMessageIn) -> Result<(), OpenError> {
        if !self.may_commit(self.peer()) {
            return Err(OpenError::Foreign);
        }
        // A readable commit that cannot be followed does what no commit of ours does.
        let processed = self.process(commit).map_err(|error| match error {
            OpenError::Malformed => OpenError::Foreign,
            error => error,
        })?;
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed else {
            return Err(OpenError::Foreign);
        };
        if !self.renews_leaf_only(&staged) {
            return Err(OpenError::Foreign);
        }
        let provider = Provider::without_rng(&self.crypto, &mut self.entities);
        self.group.merge_staged_commit(&provider, *staged).map_err(|_| OpenError::Foreign)?;
        if !is_group_of_two(&self.group) {
            return Err(OpenError::Foreign);
        }
        self.turn = Turn { heard: true, unacked: None };
        Ok(())
    }

    /// A commit of ours has no proposals, and keeps the signature key and the name.
    ///
    /// So a commit can neither change who the peer is nor add, remove or re-configure anybody.
    fn renews_leaf_only(&self, staged: &StagedCommit) -> bool {
        let Some(old) = self.group.public_group().leaf(self.peer()) else { return false };
        let Some(new) = staged.update_path_leaf_node() else { return false };
        staged.queued_proposals().next().is_none()
            && new.signature_key() == old.signature_key()
            && new.credential() == old.credential()
            && new.capabilities() == old.capabilities()
            && new.extensions() == old.extensions()
    }

    /// Decrypts and verifies, without following a commit yet. The sender must be the peer: what we sent ourselves is
    /// refused.
    fn process(&mut self, message: PrivateMessageIn) -> Result<ProcessedMessageContent, OpenError> {
        let peer = Sender::Member(self.peer());
        let provider = Provider::without_rng(&self.crypto, &mut self.entities);
        let processed = self.group.process_message(&provider, message).map_err(refusal)?;
        if *processed.sender() != peer {
            return Err(OpenError::Foreign);
        }
        Ok(processed.into_content())
    }

    /// Reads a message of this group and of the kind asked for.
    ///
    /// Also refused: associated data, which this program never sends, and bytes after the message.
    fn parse(&self, bytes: &[u8], max: usize, kind: ContentType) -> Result<PrivateMessageIn, OpenError> {
        if bytes.len() > max {
            return Err(OpenError::Malformed);
        }
        let mut rest = bytes;
        let message = MlsMessageIn::tls_deserialize(&mut rest).map_err(|_| OpenError::Malformed)?;
        let MlsMessageBodyIn::PrivateMessage(message) = message.extract() else {
            return Err(OpenError::Malformed);
        };
        if !rest.is_empty() || message.content_type() != kind || !message.aad().is_empty() {
            return Err(OpenError::Malformed);
        }
        if message.group_id() != self.group.group_id() {
            return Err(OpenError::Foreign);
        }
        Ok(message)
    }
}

/// What an error of openmls means for the caller. Errors that are not named count as malformed: they lead to nothing.
fn refusal(error: ProcessMessageError<StorageError>) -> OpenError {
    use MessageDecryptionError::{AeadError, SecretTreeError as Keys};

    match error {
        ProcessMessageError::ValidationError(error) => match error {
            ValidationError::UnableToDecrypt(Keys(error)) => out_of_keys(&error),
            ValidationError::UnableToDecrypt(AeadError)
            | ValidationError::InvalidSignature
            | ValidationError::UnknownMember
            | ValidationError::WrongGroupId => OpenError::Foreign,
            ValidationError::NoPastEpochData => OpenError::TooOld,
            ValidationError::WrongEpoch => OpenError::Ahead,
            _ => OpenError::Malformed,
        },
        ProcessMessageError::InvalidCommit(StageCommitError::EpochMismatch) => OpenError::Ahead,
        _ => OpenError::Malformed,
    }
}

/// openmls keeps the type of this error to itself, so it is recognised by its name, which a test checks.
fn out_of_keys(error: &impl std::fmt::Debug) -> OpenError {
    match format!("{error:?}").as_str() {
        "SecretReuseError" => OpenError::Repeat,
        "TooDistantInThePast" => OpenError::TooOld,
        "TooDistantInTheFuture" => OpenError::Ahead,
        _ => OpenError::Foreign,
    }
}
