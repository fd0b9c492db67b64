//! Cuts a state into pages, so that a small change of it writes few bytes.
//!
//! A state of some 30 kB changes with every message, in a few dozen bytes; and what is inserted moves all that
//! stands behind it. So the cuts are made where the *content* says so (a rolling hash over the last bytes, as in
//! FastCDC): behind an insertion the same cuts are found again, and the pages there stay what they were. An
//! index, rewritten with every change, lists the pages in order and seals them with a digest: pages of two
//! different states are never taken for one.
//!
//! The digests here find pages that did not change and states that were mixed by a fault; they protect against
//! nobody. Rows are encrypted by the store, and whoever can write there has the pod.

use std::collections::{HashMap, HashSet};

use autonomy_codec::Reader;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{
    LoadError,
    version::{NO_SUCH_VERSION, Stored, VERSION},
};

/// Rows of a store: a key relative to the contact, and the new value, or none where the row is to go.
pub type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// No page is shorter, but the last.
const MIN_PAGE: usize = 128;
/// One byte in 2^9 has a cut behind it, and one in 2^6 in a page that is long already: some 500 bytes a page.
///
/// Bits of the rolling hash that must be zero at a cut; high ones, since they depend on the most bytes.
const CUT: u64 = ((1 << 9) - 1) << 22;
/// The same in a page of [`LONG_PAGE`] bytes and more: a cut comes sooner, so that few pages reach the longest.
const LATE_CUT: u64 = ((1 << 6) - 1) << 22;
const LONG_PAGE: usize = 768;
/// No page is longer.
const MAX_PAGE: usize = 2048;
/// A state is never larger: 9 epochs of at most 2 ratchets with 256 kept keys of 48 B, 3 kB of members and
/// 1 kB of the rest are 260 kB, the tree and an unacknowledged commit 10 kB.
const MAX_STATE: usize = 512 * 1024;
/// Pages of the largest state, were all of them as short as they may be.
const MAX_PAGES: usize = MAX_STATE / MIN_PAGE;

/// Row of the index.
const INDEX_KEY: [u8; 1] = [0];
/// First byte of the key of each page; two bytes with its id follow.
const PAGE: u8 = 1;
const DIGEST_LEN: usize = 16;

type Digest = [u8; DIGEST_LEN];

/// What the store holds: the last state, cut into pages, and where each of them is.
#[derive(Default)]
pub(super) struct Pages {
    /// In the order of the state; one page may stand in it more than once.
    pages: Vec<Page>,
    /// The bytes of all pages, one after the other.
    state: Zeroizing<Vec<u8>>,
}

/// What the index says.
struct Index {
    /// The pages in the order of the state.
    ids: Vec<u16>,
    /// See [`Pages::seal`].
    seal: Digest,
}

/// Where a piece of the state lies.
#[derive(Clone, Copy)]
struct Page {
    /// Names its row.
    id: u16,
    /// Bytes of the piece.
    len: usize,
    /// Of its bytes: pages with one digest are the same page.
    digest: Digest,
}

impl Pages {
    /// Reads the last state from the store, and the version in which it was written.
    ///
    /// # Errors
    /// [`LoadError::Missing`] if the index or a page is not there, [`LoadError::Newer`] if a newer program wrote it,
    /// [`LoadError::Malformed`] if what is there does not belong together or exceeds its bounds.
    pub(super) fn load(read: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>) -> Result<(u8, Self), LoadError> {
        let (version, Index { ids, seal }) = read_index(&read(&INDEX_KEY).ok_or(LoadError::Missing)?)?;
        let mut loaded = Self::default();
        for id in ids {
            let page = read(&page_key(id)).map(Zeroizing::new).ok_or(LoadError::Missing)?;
            if page.is_empty() || page.len() > MAX_PAGE || loaded.state.len() + page.len() > MAX_STATE {
                return Err(LoadError::Malformed("the length of a page"));
            }
            loaded.pages.push(Page { id, len: page.len(), digest: digest(&page) });
            loaded.state.extend_from_slice(&page);
        }
        if loaded.seal() != seal {
            return Err(LoadError::Malformed("its pages do not belong together"));
        }
        Ok((version, loaded))
    }

    /// The last state.
    pub(super) fn state(&self) -> &[u8] {
        &self.state
    }

    /// Takes the new state, and says what has to be written.
    ///
    /// # Panics
    /// With a state larger than any can be; see [`MAX_STATE`].
    ///
    /// Pages that only moved are not written, only the index is; rows of pages that are gone are removed, and their
    /// ids are used again.
    pub(super) fn update(&mut self, state: Zeroizing<Vec<u8>>) -> Changes {
        assert!(state.len() <= MAX_STATE, "the state is bounded by what it consists of");
        let (before, changed, behind) = self.cut(&state);
        let digests: Vec<(usize, Digest)> = changed.iter().map(|page| (page.len(), digest(page))).collect();
        // A page that only moved keeps its row.
        let gone = &self.pages[before..self.pages.len() - behind];
        let mut kept: HashMap<Digest, u16> = self.pages.iter().map(|page| (page.digest, page.id)).collect();
        let stay: HashSet<Digest> = self.pages[..before]
            .iter()
            .chain(&self.pages[self.pages.len() - behind..])
            .map(|page| page.digest)
            .chain(digests.iter().map(|(_, digest)| *digest))
            .collect();
        kept.retain(|digest, _| stay.contains(digest));

        let mut free = FreeIds::beside(kept.values().copied());
        let mut changes = Changes::new();
        let mut fresh = Vec::with_capacity(changed.len());
        for ((len, digest), page) in digests.into_iter().zip(changed) {
            let id = *kept.entry(digest).or_insert_with(|| {
                let id = free.take();
                changes.push((page_key(id).to_vec(), Some(page.to_vec())));
                id
            });
            fresh.push(Page { id, len, digest });
        }
        let unused = gone.iter().map(|page| page.id).filter(|id| !free.is_used(*id));
        changes.extend(unused.map(|id| (page_key(id).to_vec(), None)));
        self.pages.splice(before..self.pages.len() - behind, fresh);
        self.state = state;
        changes.push((INDEX_KEY.to_vec(), Some(self.index())));
        changes
    }

    /// Compares a new state with the last one: how many pages at its beginning are the same, the pages that follow,
    /// and how many at its end are the same again. What is the same is neither cut nor hashed once more: that is most
    /// of a state, every time.
    fn cut<'a>(&self, state: &'a [u8]) -> (usize, Vec<&'a [u8]>, usize) {
        let (mut before, mut start) = (0, 0);
        let same = same_start(&self.state, state);
        // Where a page ends depends on what is in it alone; the last one ends with its state.
        for page in &self.pages[..self.pages.len().saturating_sub(1)] {
            if start + page.len > same {
                break;
            }
            before += 1;
            start += page.len;
        }
        let most = self.state.len().min(state.len()) - start;
        let same_behind = same_end(&self.state, state).min(most);
        // Beginnings of pages that are the same up to the end of the state, and how many pages are from there on.
        let mut ends = HashMap::from([(state.len(), 0)]);
        let mut at = state.len();
        for (count, page) in self.pages[before..].iter().rev().enumerate() {
            if state.len() - at + page.len > same_behind {
                break;
            }
            at -= page.len;
            ends.insert(at, count + 1);
        }
        let mut changed = Vec::new();
        loop {
            if let Some(behind) = ends.get(&start) {
                return (before, changed, *behind);
            }
            let page = &state[start..start + next_cut(&state[start..])];
            start += page.len();
            changed.push(page);
        }
    }

    /// Every row there is.
    /// For the removal of a session: pages and index.
    pub(super) fn keys(&self) -> Vec<Vec<u8>> {
        let mut keys: Vec<Vec<u8>> = self.pages.iter().map(|page| page_key(page.id).to_vec()).collect();
        keys.push(INDEX_KEY.to_vec());
        keys.sort();
        keys.dedup();
        keys
    }

    /// Version, seal, and the ids of all pages in order.
    fn index(&self) -> Vec<u8> {
        let mut index = vec![VERSION];
        index.extend_from_slice(&self.seal());
        index.extend(self.pages.iter().flat_map(|page| page.id.to_be_bytes()));
        index
    }

    /// The digest of all digests in order: pages of two states do not have it.
    fn seal(&self) -> Digest {
        let mut hash = Sha256::new();
        self.pages.iter().for_each(|page| hash.update(page.digest));
        truncated(hash)
    }
}

/// The keys of all rows that a session has left which cannot be loaded, to remove them: `has` says whether there is a row.
///
/// None where there is no index: it is written with the first pages and goes with the last. Otherwise each id that a page
/// can have is looked for, some 4,000, since an index that is damaged, or of another time, does not name them all.
pub(crate) fn leftover_keys(has: &dyn Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
    if !has(&INDEX_KEY) {
        return Vec::new();
    }
    let ids = (0..=u16::MAX).take(MAX_PAGES);
    let pages = ids.map(|id| page_key(id).to_vec()).filter(|key| has(key));
    std::iter::once(INDEX_KEY.to_vec()).chain(pages).collect()
}

/// Checks a page as far as one can be checked alone: the index has a version that this program reads, a page has a length
/// that it may have.
///
/// # Errors
/// [`LoadError`]: a newer program wrote the session, or the page is malformed.
pub(crate) fn check_page(key: &[u8], page: &[u8]) -> Result<(), LoadError> {
    match *key {
        [0] => read_index(page).map(drop),
        [PAGE, _, _] if !page.is_empty() && page.len() <= MAX_PAGE => Ok(()),
        [PAGE, _, _] => Err(LoadError::Malformed("the length of a page")),
        _ => Err(LoadError::Malformed("the name of a page")),
    }
}

/// The index in any version up to the present one, and that version.
fn read_index(bytes: &[u8]) -> Result<(u8, Index), LoadError> {
    let (version, body) = bytes.split_first().ok_or(BAD_INDEX)?;
    Ok((*version, Index::unpack(*version, body)?))
}

const BAD_INDEX: LoadError = LoadError::Malformed("the index of its pages");

impl Stored for Index {
    fn read(body: &[u8]) -> Result<Self, LoadError> {
        if body.len() > DIGEST_LEN + 2 * MAX_PAGES {
            return Err(BAD_INDEX);
        }
        let mut reader = Reader::new(body);
        let seal = reader.array().ok_or(BAD_INDEX)?;
        let mut ids = Vec::new();
        while !reader.is_empty() {
            let id = u16::from_be_bytes(reader.array().ok_or(BAD_INDEX)?);
            if usize::from(id) >= MAX_PAGES {
                return Err(BAD_INDEX);
            }
            ids.push(id);
        }
        Ok(Self { ids, seal })
    }

    fn upgrade(_: u8, _: &[u8]) -> Result<Self, LoadError> {
        Err(NO_SUCH_VERSION)
    }
}

/// The key of a page's row, relative to the contact.
fn page_key(id: u16) -> [u8; 3] {
    let [high, low] = id.to_be_bytes();
    [PAGE, high, low]
}

/// The first 16 bytes of SHA-256.
fn digest(page: &[u8]) -> Digest {
    truncated(Sha256::new_with_prefix(page))
}

/// The first 16 bytes of a hash: collisions by accident are out of reach, and nobody gains by making one.
fn truncated(hash: Sha256) -> Digest {
    let full = hash.finalize();
    let mut digest = [0; DIGEST_LEN];
    digest.copy_from_slice(&full[..DIGEST_LEN]);
    digest
}

/// The smallest ids that are not in use: a changed page takes the row of one that went.
struct FreeIds {
    used: Vec<bool>,
    next: usize,
}

impl FreeIds {
    /// All ids but these are free.
    fn beside(ids: impl Iterator<Item = u16>) -> Self {
        let mut used = vec![false; MAX_PAGES];
        ids.for_each(|id| used[usize::from(id)] = true);
        Self { used, next: 0 }
    }

    /// The smallest free id; it is used from now on.
    #[expect(clippy::expect_used, reason = "a state has MAX_PAGES pages at most, fewer than ids")]
    fn take(&mut self) -> u16 {
        while self.used[self.next] {
            self.next += 1;
        }
        self.used[self.next] = true;
        u16::try_from(self.next).expect("there are fewer pages than ids")
    }

    /// Whether an id was given out or is kept.
    fn is_used(&self, id: u16) -> bool {
        self.used[usize::from(id)]
    }
}

/// So much is compared at once.
///
/// The compiler turns the comparison of a whole chunk into wide instructions.
const STRIDE: usize = 256;

/// How many bytes are the same at the beginning of both.
fn same_start(a: &[u8], b: &[u8]) -> usize {
    let strides = a.chunks(STRIDE).zip(b.chunks(STRIDE)).take_while(|(a, b)| a == b);
    let same = strides.map(|(a, _)| a.len()).sum();
    same + a[same..].iter().zip(&b[same..]).take_while(|(a, b)| a == b).count()
}

/// How many bytes are the same at the end of both.
fn same_end(a: &[u8], b: &[u8]) -> usize {
    let strides = a.rchunks(STRIDE).zip(b.rchunks(STRIDE)).take_while(|(a, b)| a == b);
    let same: usize = strides.map(|(a, _)| a.len()).sum();
    let (a, b) = (&a[..a.len() - same], &b[..b.len() - same]);
    same + a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

/// Where the first page of `bytes` ends.
///
/// At least [`MIN_PAGE`] and at most [`MAX_PAGE`] bytes, unless the state ends before.
fn next_cut(bytes: &[u8]) -> usize {
    let end = bytes.len().min(MAX_PAGE);
    let mut hash = 0_u64;
    // The hash forgets a byte after 64 more: what it says behind MIN_PAGE depends on the content near by only.
    for (at, byte) in bytes.iter().enumerate().take(end).skip(MIN_PAGE - 64) {
        hash = (hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
        let mask = if at < LONG_PAGE { CUT } else { LATE_CUT };
        if at >= MIN_PAGE && hash & mask == 0 {
            return at + 1;
        }
    }
    end
}

/// A random number for each byte: splitmix64 from a seed of zero.
const GEAR: [u64; 256] = {
    let mut table = [0; 256];
    let mut seed = 0_u64;
    let mut at = 0;
    while at < table.len() {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[at] = mixed ^ (mixed >> 31);
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests;
