//! One input being worked on: the node, the moment, and the step that grows.

use autonomy_messaging::messenger;
use rand_core::CryptoRngCore;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Caller, Command, Effect, IdempotencyKey, Node, Refusal, Reply, Request, Rows, Step, Timestamp,
    replies::ReplyKey, row::tag, table::Table,
};
use autonomy_api::{Event, EventKind};

/// Counters that only grow.
pub static COUNTERS: Table<(), Counters> = Table::new(tag::COUNTERS);

/// Epochs a pod can be behind at most: a payment a minute for two years. More is a mistyped number, which would
/// stay for good.
const MAX_EPOCH_LEAP: u64 = 1 << 20;

/// Counters that only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Grows with everything that must never be forgotten: a debit, a change of devices, an account.
    pub state_epoch: u64,
    /// The next account number to offer; a number is never offered twice.
    pub next_account: u32,
    /// Id of the next event.
    pub next_event: u64,
}

/// A turn of the node. Commands check everything first and change things after: a refusal changes nothing that anyone
/// can see. (A draft that is refused may leave ledger rows: which change address was looked at.)
pub(super) struct Turn<'a> {
    pub(super) node: &'a mut Node,
    pub(super) now: Timestamp,
    pub(super) rng: &'a mut dyn CryptoRngCore,
    /// Cold rows, read when they are needed.
    pub(super) rows: &'a dyn Rows,
    pub(super) step: Step,
}

impl<'a> Turn<'a> {
    pub(super) fn new(
        node: &'a mut Node,
        now: Timestamp,
        rng: &'a mut dyn CryptoRngCore,
        rows: &'a dyn Rows,
    ) -> Self {
        Self { node, now, rng, rows, step: Step::default() }
    }

    pub(super) fn finish(mut self) -> Step {
        self.tell_watch();
        self.step
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.step.effects.push(effect);
    }

    /// Remembers an event and tells it.
    pub(super) fn notify(&mut self, kind: EventKind) {
        let mut counters = *self.node.counters;
        counters.next_event += 1;
        self.step.rows.push(self.node.counters.put(counters));
        let event = Event { id: counters.next_event, at: self.now, kind };
        self.step.rows.extend(self.node.events.keep(&event));
        self.effect(Effect::Notify(event));
    }

    /// Goes on above the state epoch that devices have seen.
    fn reconcile(&mut self, seen: u64) -> Reply {
        let own = self.node.counters.state_epoch;
        if seen <= own {
            let detail = format!("this pod is at state epoch {own}, which is not behind {seen}");
            return Err(Refusal::Conflict(detail));
        }
        if seen - own > MAX_EPOCH_LEAP {
            return Err(Refusal::invalid(
                "seen",
                format!("at most {MAX_EPOCH_LEAP} above the pod's own, {own}"),
            ));
        }
        let counters = Counters { state_epoch: seen, ..*self.node.counters };
        self.step.rows.push(self.node.counters.put(counters));
        self.advance_epoch();
        Ok(Answer::Done)
    }

    /// Counts something that must never be forgotten.
    pub(super) fn advance_epoch(&mut self) {
        let counters = Counters { state_epoch: self.node.counters.state_epoch + 1, ..*self.node.counters };
        self.step.rows.push(self.node.counters.put(counters));
    }

    pub(super) fn request(&mut self, request: Request) {
        let reply = self.answer(request);
        self.step.reply = Some(reply);
    }

    fn answer(&mut self, request: Request) -> Reply {
        let Request { caller, idempotency_key, command } = request;
        self.admit(caller, &command)?;
        let named = |given: IdempotencyKey| ReplyKey::new(caller, &given.key).map(|key| (key, given.request));
        let key = idempotency_key.map(named).transpose()?;
        if let Some((key, asked)) = &key
            && let Some(answer) = self.node.replies.find(*key, asked)?
        {
            return Ok(self.as_it_is_now(answer));
        }
        let answer = self.carry_out(caller, command)?;
        if let Caller::Device(device) = caller {
            self.note_presence(device);
        }
        if let Some((key, asked)) = key {
            self.step.rows.extend(self.node.replies.keep(key, asked, &answer, self.now));
        }
        Ok(answer)
    }

    /// The answer to a repeat: a payment as it stands now, anything else as it was.
    fn as_it_is_now(&self, answer: Answer) -> Answer {
        let Answer::Payment(payment) = &answer else { return answer };
        let now = self.node.describe_payment(&payment.id).ok();
        now.map_or(answer, Answer::Payment)
    }

    /// Checks anew, for each command, that this caller may give it.
    fn admit(&self, caller: Caller, command: &Command) -> Result<(), Refusal> {
        if let Caller::Device(key) = caller {
            self.node.devices.get(&key).ok_or(Refusal::NotAdmitted)?.check_valid(self.now)?;
        }
        let has = self.node.access(caller).ok_or(Refusal::NotAdmitted)?;
        let needed = command.required_access();
        if has < needed { Err(Refusal::AccessTooLow { needed, has }) } else { Ok(()) }
    }

    fn carry_out(&mut self, caller: Caller, command: Command) -> Reply {
        match command {
            Command::Status => Ok(Answer::Status(self.node.status())),
            Command::Adopt(bundle) => self.adopt(&bundle),
            Command::Reconcile { seen } => self.reconcile(seen),
            Command::DrawKeys => self.draw_keys(),
            Command::Devices => Ok(Answer::Devices(self.node.device_list(caller))),
            Command::AddDevice(body) => self.add_device(body),
            Command::RevokeDevice(device) => self.revoke_device(device),
            Command::Accounts => Ok(Answer::Accounts(self.node.account_list())),
            Command::Account(id) => Ok(Answer::Account(self.node.account(&id)?.describe())),
            Command::BeginAccount(body) => self.begin_account(body),
            Command::CompleteAccount(ceremony, body) => self.complete_account(ceremony, *body),
            Command::Addresses(id) => Ok(Answer::Addresses(self.node.account(&id)?.addresses()?)),
            Command::NewAddress(id) => self.new_address(id),
            Command::History(id, page) => Ok(Answer::History(self.node.history(&id, page)?)),
            Command::Payments(id) => Ok(Answer::Payments(self.node.payment_list(&id)?)),
            Command::NewPayment(id, body) => self.new_payment(caller, id, &body),
            Command::Payment(id) => Ok(Answer::Payment(self.node.describe_payment(&id)?)),
            Command::ApprovePayment(id, body) => self.approve_payment(id, &body),
            Command::CancelPayment(id) => self.cancel_payment(caller, id),
            Command::Mail(command) => self.mail_command(command),
            Command::Profile => self.profile(),
            Command::SetProfile(change) => self.set_profile(change),
            Command::Safety(contact) => self.safety(contact),
            Command::UpdateContact(contact, change) => self.update_contact(contact, change),
            Command::Events { after } => Ok(Answer::Events(self.node.events.after(after, self.now))),
        }
    }

    /// Does whatever the moment asks for. Looked at after every input, so there are no timers to keep.
    pub(super) fn do_what_is_due(&mut self) {
        self.step.rows.extend(self.node.replies.expire(self.now));
        self.expire_ceremonies();
        self.expire_drafts();
        self.broadcast_again();
        if self.node.messenger.next_wake().is_some_and(|due| due <= self.now) {
            self.mail(messenger::Input::Wake);
        }
    }
}
