//! The version of what a session stores, and how earlier ones are read: as for all other rows of the messenger.
//!
//! One version covers all of it: the index of the pages, the cut into pages, and the state in them. It stands first in
//! the index, so a newer one is known before anything else is read. A release that changes any of the three
//!
//! 1. raises [`VERSION`],
//! 2. reads the old shape in [`Stored::upgrade`] of what changed, and in that of the rest says that it reads as before,
//! 3. leaves the golden databases of earlier releases as they are: a test opens each of them.
//!
//! A session of an earlier version is written in the present one when it next changes.

use super::LoadError;

/// The version that is written; all up to it are read.
pub(super) const VERSION: u8 = 1;

/// A part of what a session stores.
pub(super) trait Stored: Sized {
    /// The version that is written.
    const VERSION: u8 = VERSION;

    /// Reads what this program writes.
    ///
    /// # Errors
    /// [`LoadError::Malformed`]: it is not what was written.
    fn read(body: &[u8]) -> Result<Self, LoadError>;

    /// Reads what an earlier version of the program wrote: `version` is below [`Self::VERSION`].
    ///
    /// # Errors
    /// [`LoadError::Malformed`]: it is not what was written, or there was no such version.
    fn upgrade(version: u8, body: &[u8]) -> Result<Self, LoadError>;

    /// Reads it in any version up to the present one.
    ///
    /// # Errors
    /// [`LoadError::Newer`]: a newer program wrote it. [`LoadError::Malformed`]: it is not what was written.
    fn unpack(version: u8, body: &[u8]) -> Result<Self, LoadError> {
        match version {
            version if version == Self::VERSION => Self::read(body),
            version if version < Self::VERSION => Self::upgrade(version, body),
            version => Err(LoadError::Newer(version)),
        }
    }
}

/// Nothing was ever written in this version.
pub(super) const NO_SUCH_VERSION: LoadError = LoadError::Malformed("there was no such version");

#[cfg(test)]
mod tests {
    use super::*;

    /// A part in its third version: the first had its bytes backwards, the second twice.
    #[derive(Debug, PartialEq)]
    struct Third(Vec<u8>);

    impl Stored for Third {
        const VERSION: u8 = 3;

        fn read(body: &[u8]) -> Result<Self, LoadError> {
            Ok(Self(body.to_vec()))
        }

        fn upgrade(version: u8, body: &[u8]) -> Result<Self, LoadError> {
            match version {
                1 => Ok(Self(body.iter().rev().copied().collect())),
                2 => Ok(Self(body[..body.len() / 2].to_vec())),
                _ => Err(NO_SUCH_VERSION),
            }
        }
    }

    #[test]
    fn earlier_versions_are_upgraded_and_newer_ones_refused() {
        let abc = || Ok(Third(b"abc".to_vec()));
        assert_eq!(Third::unpack(1, b"cba"), abc());
        assert_eq!(Third::unpack(2, b"abcabc"), abc());
        assert_eq!(Third::unpack(3, b"abc"), abc());
        assert_eq!(Third::unpack(0, b"abc"), Err(NO_SUCH_VERSION));
        assert_eq!(Third::unpack(4, b"abc"), Err(LoadError::Newer(4)));
    }
}
