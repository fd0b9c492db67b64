//! Money: owners make accounts, are paid and pay, pods follow the chain, and in the end both have to agree.
//!
//! One pod in three has an account. While faults happen its owner is paid from outside, and pays other accounts and
//! strangers; the device checks each draft against what was typed before it signs. Each pod's chain source looks
//! within a minute after a block or a payment: at blocks from the last one that both know, then at the mempool.
//!
//! What must hold: a coin that a pod signed away it never signs away by another transaction, until the first can never be
//! mined or the pod's disk is lost; nothing is paid from the change of a payment that no node ever took; each address that
//! it gives out is the account's; whenever a pod is at the last block, each payment stands as the chain has it (`check`),
//! and in the end its balance is what the chain has at its scripts.
//!
//! | part | does |
//! |---|---|
//! | `node` | the bitcoind of a pod: what it tells, takes and refuses |
//! | `trouble` | reorganisations, evictions, replaced payments, and nodes that lose blocks or refuse what they had |
//! | `check` | what pods report of money, compared with the chain |

mod check;
mod node;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};

use autonomy_node::{Watch, Watched};
use autonomy_wallet::bitcoin::{Address, Network, OutPoint, ScriptBuf, Txid};
use rand::{Rng, RngCore};

use self::node::OwnNode;
use crate::chain::BLOCK_SECONDS;
use crate::command::{Answer, Command, PaymentSeen, Refused};
use crate::config::{DAY, HOUR, SECOND};
use crate::device_account::DeviceAccount;
use crate::world::{Event, World};

/// One pod in so many has an account.
const PODS_PER_ACCOUNT: usize = 3;
/// Owners answer *no* to one draft in so many, and ask for the same again.
const SECOND_THOUGHTS: u32 = 4;
/// Range of what is paid to an account at once, satoshi.
const PAID_IN: std::ops::Range<u64> = 20_000..5_000_000;
/// Range of what an account pays at once, satoshi.
const PAID_OUT: std::ops::Range<u64> = 5_000..400_000;

/// What a pod's owner and its process know of money.
#[derive(Debug, Default)]
pub(super) struct Money {
    /// The account, once it is made.
    pub(super) device_account: Option<DeviceAccount>,
    /// The highest state epoch that a device has seen.
    epoch: u64,
    /// Coins that the pod signed away, and by which transaction: none may be signed away by two that can both be mined.
    signed: BTreeMap<OutPoint, Txid>,
    /// Transactions of the pod that its bitcoind took once.
    accepted: BTreeSet<Txid>,
    /// Payments that were told as failed when they could never be mined any more: a reorganisation deeper than what counts as
    /// buried may change that.
    ended: BTreeSet<Txid>,
    /// The pod's bitcoind.
    node: OwnNode,
    /// What the pod told this process to watch: scripts, coins, and its transactions in the mempool.
    watched: Watched,
    /// Transactions of the mempool that were given to this process.
    told: BTreeSet<Txid>,
    /// The height up to which this process knows that it has everything.
    synced: Option<u32>,
    /// Whether the chain source is about to look.
    coming: bool,
}

impl Money {
    /// Ends with the process: the next one gets everything anew.
    pub(super) fn stop(&mut self) {
        self.watched = Watched::default();
        self.told.clear();
        self.synced = None;
        self.coming = false;
    }

    /// The pod watches these scripts and coins too.
    pub(super) fn watch(&mut self, watch: Watch) {
        self.watched.take(watch);
    }

    /// The disk is lost, and with it the memory of what was signed since the backup.
    pub(super) fn roll_back(&mut self) {
        self.signed.clear();
        self.accepted.clear();
        self.ended.clear();
    }
}

/// The chain goes on.
impl World {
    /// Whether the world has a chain.
    pub(super) fn has_money(&self) -> bool {
        self.config.payments > 0
    }

    /// Whether the owner of a pod has an account or is going to make one.
    pub(super) fn plans_account(&self, pod: usize) -> bool {
        self.has_money() && pod.is_multiple_of(PODS_PER_ACCOUNT)
    }

    /// Adds the next block to the heap.
    pub(super) fn next_block(&mut self) {
        let mean = BLOCK_SECONDS * SECOND;
        let after = self.rng.gen_range(mean / 10..2 * mean - mean / 10);
        self.heap.after(after, Event::Block);
    }

    /// Mines a block and lets all pods look. While faults happen it leaves some transactions for later.
    pub(super) fn block_found(&mut self) {
        if self.mining {
            self.disturb_chain();
            let left = if self.faults_on { self.rng.gen_range(0..3) } else { 0 };
            self.chain.mine(left);
            self.figures.blocks += 1;
            self.spread(|_| true);
        }
        self.next_block();
    }
}

/// What owners do with money.
impl World {
    /// Everything of this module that an owner may do at one time.
    pub(super) fn act_on_money(&mut self, pod: usize) {
        if !self.plans_account(pod) || self.shells[pod].money.synced.is_none() {
            return;
        }
        if self.shells[pod].money.device_account.is_none() {
            return self.make_account(pod);
        }
        if !self.faults_on || self.payments_left == 0 || !self.reconcile(pod) {
            return;
        }
        // As often as keeps pace with the number of payments that are to be made in all.
        let end = self.config.days * DAY;
        let looks = end.saturating_sub(self.heap.now()) / (HOUR / 2)
            * (self.shells.len() / PODS_PER_ACCOUNT + 1) as u64;
        if self.rng.gen_bool((2.0 * self.payments_left as f64 / (looks + 1) as f64).min(1.0)) {
            self.be_paid(pod);
            self.pay(pod);
        }
    }

    /// Makes an account with the pod. The device has to accept the pod's offer.
    fn make_account(&mut self, pod: usize) {
        let Some(Ok(Answer::Offer(offer))) = self.ask(pod, Command::BeginAccount) else { return };
        let mut entropy = [[0; 32]; 2];
        entropy.iter_mut().for_each(|bytes| self.rng.fill_bytes(bytes));
        match DeviceAccount::agree(entropy, &offer) {
            Ok((completion, device_account)) => {
                if let Some(Ok(_)) = self.ask(pod, Command::CompleteAccount(completion)) {
                    self.shells[pod].money.device_account = Some(device_account);
                    self.figures.accounts += 1;
                }
            }
            Err(why) => self.breach(Some(pod), format!("its offer of an account is refused: {why}")),
        }
    }

    /// Whether the pod is as far as its devices have seen it. One that was restored from a backup is behind, and must
    /// not sign before its owner has said so.
    fn reconcile(&mut self, pod: usize) -> bool {
        let Some(Ok(Answer::Status { epoch })) = self.ask(pod, Command::Status) else { return false };
        let seen = self.shells[pod].money.epoch;
        if epoch >= seen {
            self.shells[pod].money.epoch = epoch;
            return true;
        }
        self.figures.reconciled += 1;
        let _ = self.ask(pod, Command::Reconcile { seen });
        false
    }

    /// A new address of an account. The device derives it itself and compares.
    fn address(&mut self, pod: usize) -> Option<String> {
        let account = self.shells[pod].money.device_account.as_ref()?.id();
        let Some(Ok(Answer::Address { index, address })) = self.ask(pod, Command::NewAddress(account)) else {
            return None;
        };
        let device_account = self.shells[pod].money.device_account.as_mut()?;
        if !device_account.is_own(index, &address) {
            self.breach(Some(pod), format!("address {address} is not the account's number {index}"));
            return None;
        }
        Some(address)
    }

    /// Somebody outside pays the account.
    fn be_paid(&mut self, pod: usize) {
        let Some(script) = self.address(pod).and_then(|address| script_of(&address)) else { return };
        let sat = self.rng.gen_range(PAID_IN);
        if self.chain.pay_from_outside(script, sat).is_some() {
            self.figures.paid_in += 1;
            self.spread_to_accounts();
        }
    }

    /// The account pays another one, or somebody outside.
    fn pay(&mut self, pod: usize) {
        let other = self.rng.gen_range(0..self.shells.len()) / PODS_PER_ACCOUNT * PODS_PER_ACCOUNT;
        let to = if other == pod { None } else { self.address(other) };
        let to = to.unwrap_or_else(|| OUTSIDE.to_owned());
        let sat = self.rng.gen_range(PAID_OUT);
        let Some(account) = self.shells[pod].money.device_account.as_ref().map(DeviceAccount::id) else {
            return;
        };
        let draft = self.ask(pod, Command::NewPayment { account, address: to.clone(), sat });
        let Some(Ok(Answer::Payment(payment))) = draft else { return };
        if !self.rng.gen_ratio(1, SECOND_THOUGHTS) {
            return self.approve(pod, &payment, &to, sat);
        }
        let _ = self.ask(pod, Command::Cancel(payment.id));
        let draft = self.ask(pod, Command::NewPayment { account, address: to.clone(), sat });
        if let Some(Ok(Answer::Payment(payment))) = draft {
            self.approve(pod, &payment, &to, sat);
        }
    }

    /// The device checks the draft and signs it, and the pod completes the payment.
    fn approve(&mut self, pod: usize, payment: &PaymentSeen, to: &str, sat: u64) {
        let (Some(psbt), Some(device_account)) =
            (&payment.psbt, self.shells[pod].money.device_account.as_mut())
        else {
            return;
        };
        let psbt = match device_account.sign(psbt, to, sat) {
            Ok(psbt) => psbt,
            Err(why) => return self.breach(Some(pod), format!("its draft is refused by the device: {why}")),
        };
        let epoch = self.shells[pod].money.epoch;
        match self.ask(pod, Command::Approve { payment: payment.id, psbt, epoch }) {
            Some(Ok(_)) => {
                self.payments_left = self.payments_left.saturating_sub(1);
                self.figures.payments += 1;
            }
            Some(Err(Refused(_))) => self.figures.refused_payments += 1,
            None => {}
        }
    }
}

/// An address of nobody here.
const OUTSIDE: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// The script of an address on regtest.
fn script_of(address: &str) -> Option<ScriptBuf> {
    let address: Address<_> = address.parse().ok()?;
    Some(address.require_network(Network::Regtest).ok()?.script_pubkey())
}
