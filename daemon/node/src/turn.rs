//! One input being worked on. A turn routes: each command and event goes to the part that it concerns, with the other
//! parts that it has to look at.

use autonomy_messaging::{
    PublicKey, RootPublic,
    messenger::{self, Messenger},
    provision::SealedBundle,
};
use autonomy_wallet::bitcoin::Txid;
use rand_core::CryptoRngCore;

use super::{
    Answer, BroadcastOutcome, Caller, Command, Node, NodeStatus, PaymentId, Refusal, Reply, Request, Rows,
    Step, Timestamp,
    accounts::Accounts,
    chain::Chain,
    context::Context,
    devices::Admission,
    payments::Payments,
    replies::{Kept, Replies},
    sessions::Sessions,
};
use autonomy_api::{Payment, network_of};

/// Epochs a pod can be behind at most: a payment a minute for two years. More is a mistyped number, which would
/// stay for good.
const MAX_EPOCH_LEAP: u64 = 1 << 20;

/// A turn of the node. Commands check everything first and change things after: a refusal changes nothing that anyone
/// can see. (A draft that is refused may leave ledger rows: which change address was looked at.)
pub(super) struct Turn<'a> {
    pub(super) admission: &'a mut Admission,
    pub(super) accounts: &'a mut Accounts,
    pub(super) payments: &'a mut Payments,
    pub(super) chain: &'a mut Chain,
    pub(super) messenger: &'a mut Messenger,
    pub(super) sessions: &'a mut Sessions,
    replies: &'a mut Replies,
    pub(super) cx: Context<'a>,
    reply: Option<Reply>,
}

impl<'a> Turn<'a> {
    /// Takes a node apart for one input: from here on each part is held by itself.
    pub(super) fn new(
        node: &'a mut Node,
        now: Timestamp,
        rng: &'a mut dyn CryptoRngCore,
        cold: &'a dyn Rows,
    ) -> Self {
        let Node { journal, admission, accounts, payments, chain, replies, messenger, sessions } = node;
        chain.forget_old_fees(now);
        let cx = Context::new(now, rng, cold, journal);
        Self { admission, accounts, payments, chain, messenger, sessions, replies, cx, reply: None }
    }

    /// Puts the step together: rows, effects, and the reply where a request was the input.
    pub(super) fn finish(mut self) -> Step {
        self.tell_watch();
        self.cx.finish(self.reply)
    }

    /// Answers a request.
    pub(super) fn request(&mut self, request: Request) {
        self.reply = Some(self.answer(request));
    }

    /// Admits the caller, gives the answer of a repeat, or carries the command out and keeps its answer.
    ///
    /// # Errors
    /// The refusal: nothing has changed then but what `Turn` says of drafts, and the caller may repeat it under the same key.
    fn answer(&mut self, request: Request) -> Reply {
        let Request { caller, idempotency_key, command } = request;
        self.admission.check(caller, command.required_access(), self.cx.now)?;
        let kept = idempotency_key.map(|given| Kept::new(caller, &given, &command)).transpose()?;
        if let Some(kept) = &kept
            && let Some(answer) = self.replies.find(kept.key, &kept.request)?
        {
            return Ok(self.as_it_is_now(answer));
        }
        let answer = self.carry_out(caller, command)?;
        if let Caller::Device(device) = caller {
            self.admission.note_presence(&mut self.cx, device);
        }
        if let Some(kept) = kept {
            let rows = self.replies.keep(kept, &answer, self.cx.now);
            self.cx.rows(rows);
        }
        Ok(answer)
    }

    /// The answer to a repeat: a payment as it stands now, anything else as it was.
    fn as_it_is_now(&self, answer: Answer) -> Answer {
        let Answer::Payment(payment) = &answer else { return answer };
        let now = self.describe_payment(&payment.id).ok();
        now.map_or(answer, Answer::Payment)
    }

    /// A payment as it stands now.
    fn describe_payment(&self, id: &PaymentId) -> Result<Payment, Refusal> {
        self.payments.describe(self.accounts, self.chain, id)
    }

    /// Who does what: each command goes to one part, which sees the others that stand beside it.
    fn carry_out(&mut self, caller: Caller, command: Command) -> Reply {
        let Self { admission, accounts, payments, chain, cx, .. } = &mut *self;
        match command {
            Command::Status => Ok(Answer::Status(self.status())),
            Command::Adopt(bundle) => self.adopt(&bundle),
            Command::Reconcile { seen } => reconcile(cx, seen),
            Command::DrawKeys => admission.draw_keys(cx),
            Command::Devices => Ok(Answer::Devices(admission.list(caller))),
            Command::AddDevice(body) => admission.add_device(cx, body),
            Command::RevokeDevice(device) => admission.revoke_device(cx, device),
            Command::Accounts => Ok(Answer::Accounts(accounts.list())),
            Command::Account(id) => Ok(Answer::Account(accounts.get(&id)?.describe())),
            Command::BeginAccount(body) => accounts.begin(cx, admission, chain.tip(), body),
            Command::CompleteAccount(ceremony, body) => {
                accounts.complete(cx, admission, chain.first(), ceremony, &body)
            }
            Command::Addresses(id, page) => Ok(Answer::Addresses(accounts.addresses(&id, page)?)),
            Command::NewAddress(id) => accounts.new_address(cx, id),
            Command::History(id, page) => {
                let history =
                    accounts.get(&id)?.history(chain.tip_height(), page, &payments.by_transaction());
                Ok(Answer::History(history))
            }
            Command::Payments(id) => Ok(Answer::Payments(payments.list(accounts, chain, &id)?)),
            Command::NewPayment(id, body) => {
                payments.draft(cx, admission, accounts, chain, caller, (id, &body))
            }
            Command::Payment(id) => Ok(Answer::Payment(self.describe_payment(&id)?)),
            Command::ApprovePayment(id, body) => {
                payments.approve(cx, admission.identity(), accounts, chain, (id, &body))
            }
            Command::CancelPayment(id) => payments.cancel(cx, admission, accounts, chain, (caller, id)),
            Command::GiveUpPayment(id) => payments.give_up_signed(cx, accounts, chain, id),
            Command::Mail(command) => self.mail_command(command),
            Command::Session(command) => self.session_command(command),
            Command::Profile => self.profile(),
            Command::SetProfile(change) => self.set_profile(change),
            Command::Safety(contact) => self.safety(contact),
            Command::UpdateContact(contact, change) => self.update_contact(contact, change),
            Command::Events { after } => Ok(Answer::Events(cx.journal().events_after(after, cx.now))),
        }
    }

    /// Takes the bundle of an owner, and lets contacts know who the pod is.
    fn adopt(&mut self, bundle: &SealedBundle) -> Reply {
        let adopted = self.admission.adopt(&mut self.cx, bundle)?;
        self.tell_who_we_are();
        Ok(adopted)
    }

    /// Tells contacts, and those who launch the peer service, who the pod is and where it is reached.
    fn tell_who_we_are(&mut self) {
        match self.admission.own_card() {
            Ok(own) => own.into_iter().for_each(|own| self.messenger.adopt(own)),
            // The owner was checked when the bundle was taken, by the same rules.
            Err(error) => tracing::error!("contacts are not told who this pod is: {error}"),
        }
        self.listen();
    }

    /// Where contacts come from now on.
    pub(super) fn listen(&mut self) {
        let effect = self.admission.listen_effect(self.messenger.reach());
        self.cx.effect(effect);
    }

    /// How the pod is, as far as the node knows.
    fn status(&self) -> NodeStatus {
        let Self { admission, accounts, chain, cx, .. } = self;
        let identity = admission.identity();
        let owner = admission.owner().and_then(|owner| RootPublic::from_bytes(&owner.root).ok());
        NodeStatus {
            network: network_of(identity.network()),
            pod_key: PublicKey::from(&identity.pod_key()),
            owner,
            state_epoch: cx.journal().state_epoch(),
            chain: chain.status(),
            devices: admission.count(),
            accounts: accounts.count(),
            warnings: self.sessions.warnings(),
        }
    }

    /// Hands on what became of a transaction that was sent.
    pub(super) fn broadcast_outcome(&mut self, txid: Txid, outcome: BroadcastOutcome) {
        let Self { accounts, payments, chain, cx, .. } = self;
        payments.broadcast_outcome(cx, accounts, chain, (txid, outcome));
    }

    /// The clock is right, or not known to be so.
    pub(super) fn clock_judged(&mut self, is_right: bool) {
        self.mail(messenger::Input::Clock { is_right });
    }

    /// Does whatever the moment asks for. Looked at after every input, so there are no timers to keep.
    pub(super) fn do_what_is_due(&mut self) {
        let Self { admission, accounts, payments, replies, messenger, cx, .. } = &mut *self;
        if messenger.clock_is_right() {
            cx.rows(replies.expire(cx.now));
            accounts.expire_ceremonies(cx);
            payments.expire_drafts(cx, accounts);
            if admission.next_move().is_some_and(|at| at <= cx.now) && admission.move_peer(cx) {
                self.tell_who_we_are();
            }
        }
        let Self { accounts, payments, cx, .. } = &mut *self;
        payments.hold_coins(cx, accounts);
        payments.broadcast_again(cx);
        if self.messenger.next_wake().is_some_and(|due| due <= self.cx.now) {
            self.mail(messenger::Input::Wake);
        }
        self.wake_sessions();
    }
}

/// Goes on above the state epoch that devices have seen.
fn reconcile(cx: &mut Context<'_>, seen: u64) -> Reply {
    let own = cx.journal().state_epoch();
    if seen <= own {
        let detail = format!("this pod is at state epoch {own}, which is not behind {seen}");
        return Err(Refusal::Conflict(detail));
    }
    if seen - own > MAX_EPOCH_LEAP {
        return Err(Refusal::invalid("seen", format!("at most {MAX_EPOCH_LEAP} above the pod's own, {own}")));
    }
    let row = cx.journal_mut().set_state_epoch(seen + 1);
    cx.row(row);
    Ok(Answer::Done)
}
