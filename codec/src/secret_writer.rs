//! A buffer for values that may hold a secret.

use std::io;

use zeroize::Zeroizing;

/// Collects bytes that may hold a secret, and is wiped when it is dropped.
///
/// A vector that grows leaves its old bytes behind in freed memory. Here a larger buffer takes a copy, and the smaller
/// one is wiped before it is freed, so that at each moment one copy exists. Written through [`Extend`] or [`io::Write`],
/// which is what serialisers ask for.
#[derive(Default)]
pub struct SecretWriter(Zeroizing<Vec<u8>>);

impl SecretWriter {
    /// An empty buffer with room for `capacity` bytes: so many can be written without a copy.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    /// All that was written.
    #[must_use]
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// Appends one byte.
    #[inline]
    pub fn push(&mut self, byte: u8) {
        self.reserve(1);
        self.0.push(byte);
    }

    /// Appends bytes.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Makes room for `more` bytes. Asked for each byte that a serialiser writes, so what is rare stands elsewhere.
    #[inline]
    fn reserve(&mut self, more: usize) {
        if more > self.0.capacity() - self.0.len() {
            self.grow(more);
        }
    }

    /// At least doubles the room, so that many small writes copy each byte a bounded number of times.
    #[cold]
    fn grow(&mut self, more: usize) {
        let needed = self.0.len() + more;
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * self.0.capacity())));
        larger.extend_from_slice(&self.0);
        // The old buffer is dropped here, which wipes all of its capacity.
        self.0 = larger;
    }
}

impl Extend<u8> for SecretWriter {
    #[inline]
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        let bytes = bytes.into_iter();
        self.reserve(bytes.size_hint().0);
        bytes.for_each(|byte| self.push(byte));
    }
}

impl io::Write for SecretWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for SecretWriter {
    /// What was written may be a secret: only its length is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretWriter").field("bytes", &self.0.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_written_is_shown_by_debug() {
        let mut writer = SecretWriter::default();
        writer.put(&[0xa5; 40]);
        assert_eq!(format!("{writer:?}"), "SecretWriter { bytes: 40, .. }");
    }

    #[test]
    fn a_write_within_the_capacity_moves_nothing() {
        let mut writer = SecretWriter::with_capacity(64);
        let place = writer.0.as_ptr();
        writer.put(&[1; 63]);
        writer.push(2);
        assert_eq!(writer.into_bytes().as_ptr(), place);
    }

    proptest! {
        #[test]
        fn pieces_come_out_in_order(pieces: Vec<(u8, Vec<u8>)>) {
            let mut writer = SecretWriter::default();
            for (way, piece) in &pieces {
                match way % 4 {
                    0 => writer.put(piece),
                    1 => piece.iter().for_each(|byte| writer.push(*byte)),
                    2 => writer.extend(piece.iter().copied().filter(|_| true)),
                    _ => writer.write_all(piece).unwrap(),
                }
            }
            let all: Vec<u8> = pieces.into_iter().flat_map(|(_, piece)| piece).collect();
            prop_assert_eq!(&*writer.into_bytes(), &all);
        }
    }
}
