//! Walking over all rows of a store.
//!
//! A walk sees one moment of the store: rows, tally and header come from one read transaction, and commits may go on
//! meanwhile. It is the only place where rows are held against the tally, so a start and a backup walk over all of them.

use redb::{Range, ReadableDatabase as _};
use zeroize::Zeroizing;

use super::{
    HEADER, HEADER_TALLY, HEADER_WRAP, ROWS, ReadError, Store, error::Fault, keys::RowId, tally::Tally,
};

/// All rows of a store as it was when [`Store::rows`] was called; commits meanwhile do not show.
///
/// After the last row the tally is compared, and a mismatch is the last item. After an error it ends.
pub struct Rows<'a> {
    store: &'a Store,
    wrap: Vec<u8>,
    expected: Tally,
    seen: Tally,
    range: Option<Range<'static, [u8; 32], &'static [u8]>>,
}

/// A row that opened, as it lies on disk and as what it says.
pub(super) struct Walked {
    pub(super) id: RowId,
    pub(super) sealed: Vec<u8>,
    pub(super) name: Vec<u8>,
    value: Zeroizing<Vec<u8>>,
}

impl<'a> Rows<'a> {
    pub(super) fn start(store: &'a Store) -> Result<Self, Fault> {
        let transaction = store.database()?.begin_read()?;
        let table = transaction.open_table(HEADER)?;
        let field = |name| -> Result<_, Fault> {
            Ok(table.get(name)?.map(|bytes| bytes.value().to_vec()).unwrap_or_default())
        };
        let wrap = field(HEADER_WRAP)?;
        let expected = store.keys.open_tally(&field(HEADER_TALLY)?).ok_or(Fault::Tally)?;
        let range = transaction.open_table(ROWS)?.range::<[u8; 32]>(..)?;
        Ok(Self { store, wrap, expected, seen: Tally::default(), range: Some(range) })
    }

    /// The wrapped data key that opens these rows.
    pub(super) fn wrap(&self) -> Vec<u8> {
        self.wrap.clone()
    }

    /// A tally of no rows yet, for a copy of this store: as many commits made it.
    pub(super) fn empty_tally(&self) -> Tally {
        self.expected.emptied()
    }

    /// The next row, with what lies on disk, after it was opened and found sound. None after the last one, if all of them
    /// are what was committed last.
    ///
    /// # Errors
    /// The disk fails, a row was altered, or, after the last one, the tally does not fit. Nothing follows an error.
    pub(super) fn next_sealed(&mut self) -> Option<Result<Walked, ReadError>> {
        let step = match self.range.as_mut()?.next() {
            Some(entry) => {
                entry.map_err(Fault::from).and_then(|(id, sealed)| self.check(id.value(), sealed.value()))
            }
            None => {
                self.range = None;
                if self.seen.same_rows(&self.expected) {
                    return None;
                }
                Err(Fault::Tally)
            }
        };
        if step.is_err() {
            self.range = None;
        }
        Some(step.map_err(|fault| fault.reading(&self.store.path)))
    }

    fn check(&mut self, id: RowId, sealed: &[u8]) -> Result<Walked, Fault> {
        let keys = &self.store.keys;
        let (name, value) = keys.open_row(&id, sealed).ok_or(Fault::Row(id))?;
        self.seen.add(&keys.mark(&id, sealed));
        Ok(Walked { id, sealed: sealed.to_vec(), name, value })
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<(Vec<u8>, Zeroizing<Vec<u8>>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_sealed()?.map(|row| (row.name, row.value)))
    }
}

impl std::fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("store", &self.store).finish_non_exhaustive()
    }
}
