//! Worlds to run pods in: a private Tor network of C tor, a regtest bitcoind, and pods and devices as
//! processes of the real `autonomy` program, all on this machine's loopback.
//!
//! Nothing here is a mock; worlds in virtual time are the crate `autonomy-sim`. The Tor network has authorities, guards and onion-service directories that vote
//! and serve as the public ones do; bitcoind validates; pods and devices meet through onion services only.
//! This library does not depend on Arti or on the daemon: it starts programs and talks to them, so tests of
//! any crate can use it and it builds in seconds.
//!
//! # Start here
//!
//! | you want | take |
//! |---|---|
//! | a Tor network or a bitcoind in a test | [`fixture`] |
//! | a world of your own, to break | [`world::World`] |
//! | a pod and a device on it | [`party`] |
//! | a world to play with by hand | the program `testnet up` |
//!
//! # Modules
//!
//! | module | what it does |
//! |---|---|
//! | [`world`] | a folder, ports, a Tor network, a bitcoind; several side by side |
//! | [`tor_network`] | authorities and relays: keys, configuration, the first vote, faults |
//! | [`bitcoind`] | the node: mine, pay, reorganise, restart, watch a descriptor |
//! | [`party`] | pods and devices: settings, processes, commands |
//! | [`provision`] | finds tor and bitcoind, or makes private copies from Debian |
//! | [`process`] | children that cannot outlive us, whatever happens |
//! | [`folder`], [`ports`] | what worlds own, held by locks that the kernel gives back |
//! | [`steps`] | the report of a scenario for people and programs |
//! | [`clock`] | waiting for conditions, with limits |
//!
//! # Nothing stays behind
//!
//! Three nets, each for what slips through the one before: owners drop their processes; the kernel kills
//! children when the process that started them ends ([`process`]); a reaper kills what those children
//! had started and detached. Folders and ports are held by locks, so a start after a crash finds and
//! cleans what no one owns any more ([`folder`]).

pub mod bitcoind;
pub mod clock;
pub mod fixture;
pub mod folder;
pub mod party;
pub mod ports;
pub mod process;
pub mod provision;
pub mod steps;
pub mod tor_network;
pub mod world;
