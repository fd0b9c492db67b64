//! The owner's own bitcoind, by RPC.

use std::{path::PathBuf, sync::Arc, thread};

use super::{ChainLink, ChainSource, PodCursor, follower::Follower, orders::OrderBook, tip};

/// Where bitcoind listens, and how to log in.
#[derive(Debug, Clone)]
pub struct BitcoindConfig {
    /// `http://127.0.0.1:8332`, optionally with `/wallet/…` left away.
    pub url: String,
    /// How to log in.
    pub auth: BitcoindAuth,
}

/// How to log in to bitcoind.
#[derive(Clone)]
pub enum BitcoindAuth {
    /// Its cookie file, read again at every poll since each start of bitcoind writes a new one.
    Cookie(PathBuf),
    /// `rpcuser` and `rpcpassword`.
    UserPass(String, String),
}

impl std::fmt::Debug for BitcoindAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cookie(path) => f.debug_tuple("Cookie").field(path).finish(),
            Self::UserPass(user, _) => f.debug_tuple("UserPass").field(user).field(&"[secret]").finish(),
        }
    }
}

/// A bitcoind that any number of pods follow: two threads and three connections in all, however many pods there are. One
/// thread reads and gives, the other waits for new blocks.
///
/// Clones are the same source. Whoever makes two of the same bitcoind reads every block twice.
#[derive(Debug, Clone)]
pub struct Bitcoind {
    config: BitcoindConfig,
    book: Arc<OrderBook>,
}

impl Bitcoind {
    /// The bitcoind at `config`. It is asked nothing before the first pod follows it, nor after the last has left.
    #[must_use]
    pub fn new(config: BitcoindConfig) -> Self {
        Self { config, book: Arc::default() }
    }
}

impl ChainSource for Bitcoind {
    fn follow(&self, pod: PodCursor) -> Box<dyn ChainLink> {
        let (link, start) = self.book.join(pod);
        if let Some(generation) = start
            && let Err(error) = self.start(generation)
        {
            tracing::error!("the chain cannot be followed: {error}");
            self.book.give_up();
        }
        Box::new(link)
    }
}

impl Bitcoind {
    fn start(&self, generation: u64) -> std::io::Result<()> {
        let follower = Follower::new(self.config.clone(), self.book.clone());
        thread::Builder::new().name("chain".into()).spawn(move || follower.run())?;
        let (config, book) = (self.config.clone(), self.book.clone());
        let waits = thread::Builder::new().name("chain-tip".into());
        if let Err(error) = waits.spawn(move || tip::watch(&config, &book, generation)) {
            tracing::debug!("new blocks are noticed by polling only: {error}");
        }
        Ok(())
    }
}
