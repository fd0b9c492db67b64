//! How values become bytes, how bytes become a line of text, and what a name may be.
//!
//! **Bytes** ([`Reader`], [`put_bytes_u8`], [`put_bytes_u16`]): flat and canonical, big-endian numbers and byte
//! strings behind their length. A value has one encoding; the type that owns it holds its bounds and its version.
//!
//! **Text** ([`armour`]): what people carry by hand (requests, bundles, invites, decks) is one line,
//! `autonomy-<kind>1<base32>`. This is *ASCII armour* in the sense of OpenPGP (RFC 9580, section 6): binary data in
//! printable characters, with a head that says what it is. The shape is that of Bech32 (BIP 173): a part to be
//! read by people, the digit `1`, then the data. Bech32 itself ends at 90 characters, and a deck has 56,000. All kinds
//! are listed in [`TextKind`], so that a request pasted for a bundle is called a request.
//!
//! **Names** ([`Name`]): one visible line that cannot pretend to be anything else in a terminal.
//!
//! **Secrets** ([`SecretWriter`]): a buffer that is wiped when it is dropped, and leaves no copy behind as it grows.
//!
//! The crate is pure and knows none of the types that are written with it. Buffers of its own that may hold a secret
//! are wiped; what it returns is the caller's to wipe.
//!
//! ```
//! use autonomy_codec::{TextError, TextKind, armour};
//! let line = armour::encode(TextKind::Grant, b"twelve bytes");
//! assert_eq!(line, "autonomy-grant1or3wk3dwmuqge6lumvz56elv7cya");
//! assert_eq!(*armour::decode(TextKind::Grant, &line, 12)?, b"twelve bytes");
//! let error = armour::decode(TextKind::Bundle, &line, 12).unwrap_err();
//! assert_eq!(error.to_string(), "this is a grant, not a bundle");
//! # Ok::<(), TextError>(())
//! ```

pub mod armour;
mod bytes;
mod name;
mod secret_writer;

pub use armour::{TextError, TextKind};
pub use bytes::{Reader, put_bytes_u8, put_bytes_u16};
pub use name::{BadName, MAX_NAME_LEN, Name, is_invisible};
pub use secret_writer::SecretWriter;
