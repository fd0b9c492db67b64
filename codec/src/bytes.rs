//! Reading and writing of flat, canonical bytes: big-endian numbers, and byte strings behind their length.

/// Bytes that still have to be read. A method that returns an [`Option`] returns `None` when too few are left; the
/// reader must not be used further then.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A number of one byte.
    pub fn u8(&mut self) -> Option<u8> {
        Some(self.array::<1>()?[0])
    }

    /// A number of two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A number of four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A number of eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A byte string behind a length of one byte.
    pub fn bytes_u8(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.take(usize::from(len))
    }

    /// A byte string behind a length of two bytes.
    pub fn bytes_u16(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Whether nothing is left. A decoder asks this last: bytes after the end are an error.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Appends a byte string behind a length of one byte.
///
/// # Panics
/// At 256 bytes and more: the type that owns the bytes keeps them below.
#[expect(
    clippy::expect_used,
    reason = "the type that owns the bytes bounds them, as `# Panics` asks of the caller"
)]
pub fn put_bytes_u8(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(u8::try_from(bytes.len()).expect("bounded by the type that owns the bytes"));
    out.extend_from_slice(bytes);
}

/// Appends a byte string behind a length of two bytes.
///
/// # Panics
/// At 65,536 bytes and more: the type that owns the bytes keeps them below.
#[expect(
    clippy::expect_used,
    reason = "the type that owns the bytes bounds them, as `# Panics` asks of the caller"
)]
pub fn put_bytes_u16(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u16::try_from(bytes.len()).expect("bounded by the type that owns the bytes");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
}
