//! Payments: who must agree, what is remembered before a signature leaves, and what a crash may not lose.

use autonomy_api::{ApprovePayment, EventKind, NewPayment, Payment, PaymentState, PsbtBytes};
use autonomy_blocks::spend;
use autonomy_node::{
    Answer, BroadcastOutcome, Caller, ChainEvent, Command, Effect, HistoryPage, Input, Refusal,
};
use autonomy_wallet::{
    bitcoin::{Amount, FeeRate, OutPoint, Psbt, ScriptBuf},
    rate,
};

use crate::world::{OUTSIDE, RATE, World, pays};

#[test]
fn a_payment_goes_from_draft_to_confirmed() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let payment = world.draft(&account, 250_000).unwrap();
    assert_eq!(payment.state, PaymentState::Draft);
    let psbt = world.sign(&account, &payment);
    let epoch = epoch(&mut world);
    let signed = world.approve(&payment, psbt).unwrap();
    assert_eq!((signed.state, signed.psbt.as_deref()), (PaymentState::Signed, None));
    assert_eq!(self::epoch(&mut world), epoch + 1, "a debit is counted");
    let sent = world.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].compute_txid(), payment.txid);
    assert!(sent[0].input.iter().all(|input| !input.witness.is_empty()));

    world.give(Input::Broadcast(sent[0].compute_txid(), BroadcastOutcome::Accepted));
    assert_eq!(world.payment(&payment).state, PaymentState::Seen);
    world.mine(sent);
    let done = world.payment(&payment);
    assert_eq!((done.state, done.confirmations), (PaymentState::Confirmed, 1));
    assert_eq!(world.balance(&account).confirmed, Amount::from_sat(750_000) - done.fee);
}

#[test]
fn a_crash_after_the_signature_sends_it_again() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let payment = world.draft(&account, 250_000).unwrap();
    let psbt = world.sign(&account, &payment);
    world.approve(&payment, psbt).unwrap();
    let first = world.sent();
    world.restart();
    let again = world.sent();
    assert!(!again.is_empty() && again.iter().all(|sent| *sent == first[0]), "the same bytes");
    world.now += 61;
    world.give(Input::Wake);
    assert!(world.sent() == first, "until the network has it");
    world.give(Input::Broadcast(first[0].compute_txid(), BroadcastOutcome::Accepted));
    world.now += 61;
    world.give(Input::Wake);
    assert!(world.sent().is_empty());
}

#[test]
fn a_payment_that_a_node_refuses_keeps_its_coins_and_is_sent_again() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let (payment, transaction) = world.signed(&account, 250_000);
    world.now += 1;
    world.give(Input::Broadcast(payment.txid, BroadcastOutcome::Refused("bad-txns-in-belowout".into())));
    let refused = world.payment(&payment);
    assert_eq!(refused.state, PaymentState::Signed);
    assert!(refused.detail.unwrap().contains("belowout"));
    assert!(matches!(world.draft(&account, 250_000), Err(Refusal::Funds(_))));
    world.effects.clear();
    world.restart();
    assert!(world.sent().contains(&transaction));
}

#[test]
fn drafts_hold_their_coins_until_they_are_given_up_or_too_old() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let first = world.draft(&account, 250_000).unwrap();
    assert!(matches!(world.draft(&account, 250_000), Err(Refusal::Funds(_))));
    let Answer::Payment(cancelled) = world.device_asks(Command::CancelPayment(first.id)).unwrap() else {
        panic!()
    };
    assert_eq!(cancelled.state, PaymentState::Cancelled);
    let second = world.draft(&account, 250_000).unwrap();
    world.now += 86_401;
    world.give(Input::Wake);
    assert!(matches!(
        world.refused(world.device.caller(), Command::Payment(second.id)),
        Refusal::Unknown { .. }
    ));
    assert!(world.draft(&account, 250_000).is_ok());
}

#[test]
fn a_signed_payment_cannot_be_taken_back_or_signed_twice() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let payment = world.draft(&account, 250_000).unwrap();
    let psbt = world.sign(&account, &payment);
    world.approve(&payment, psbt.clone()).unwrap();
    let id = payment.id;
    assert!(matches!(world.refused(world.device.caller(), Command::CancelPayment(id)), Refusal::Conflict(_)));
    let again = Command::ApprovePayment(id, ApprovePayment { psbt, state_epoch: 0 });
    assert!(matches!(world.refused(world.device.caller(), again), Refusal::Conflict(_)));
}

#[test]
fn a_hostile_device_gets_no_signature() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let payment = world.draft(&account, 250_000).unwrap();
    let honest = world.sign(&account, &payment);
    let tampered = |change: &dyn Fn(&mut Psbt)| {
        let mut psbt = Psbt::deserialize(&honest).unwrap();
        change(&mut psbt);
        psbt.serialize()
    };
    let swapped_output =
        tampered(&|psbt| psbt.unsigned_tx.output[0].script_pubkey = ScriptBuf::new_op_return([1; 4]));
    let changed_amount = tampered(&|psbt| psbt.unsigned_tx.output[0].value += Amount::ONE_SAT);
    let unsigned = tampered(&|psbt| psbt.inputs[0].partial_sigs.clear());
    let other_sighash = tampered(&|psbt| {
        for signature in psbt.inputs[0].partial_sigs.values_mut() {
            signature.sighash_type = autonomy_wallet::bitcoin::EcdsaSighashType::None;
        }
    });
    let foreign_key = tampered(&|psbt| {
        let (key, signature) = psbt.inputs[0].partial_sigs.pop_first().unwrap();
        let other = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5".parse().unwrap();
        assert_ne!(key, other);
        psbt.inputs[0].partial_sigs.insert(other, signature);
    });
    let truncated = honest[..100].to_vec();
    for psbt in [
        swapped_output,
        changed_amount,
        unsigned,
        other_sighash,
        foreign_key,
        truncated,
        vec![],
        vec![0; 4_000_000],
    ] {
        let psbt = PsbtBytes::new(psbt).unwrap();
        let body = ApprovePayment { psbt, state_epoch: 0 };
        let command = Command::ApprovePayment(payment.id, body);
        let refusal = world.refused(world.device.caller(), command);
        assert!(matches!(refusal, Refusal::Unsafe(_)), "{refusal}");
    }
    assert!(world.approve(&payment, honest).is_ok(), "nothing was spoilt");
}

#[test]
fn a_pod_from_an_old_backup_signs_nothing() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let payment = world.draft(&account, 250_000).unwrap();
    let psbt = world.sign(&account, &payment);
    let own = epoch(&mut world);
    let body = ApprovePayment { psbt, state_epoch: own + 1 };
    let command = Command::ApprovePayment(payment.id, body);
    assert_eq!(world.refused(world.device.caller(), command.clone()), Refusal::Behind { seen: own + 1, own });
    assert!(matches!(world.refused(Caller::Owner, Command::Reconcile { seen: own }), Refusal::Conflict(_)));
    world.refused(Caller::Owner, Command::Reconcile { seen: u64::MAX });
    world.ask(Caller::Owner, Command::Reconcile { seen: own + 1 }).unwrap();
    assert!(world.device_asks(command).is_ok(), "its owner has looked, and said so");
}

/// The draft is in the backup, its signature is not: the network knows more than the pod.
#[test]
fn a_restored_draft_that_was_sent_is_kept_on_the_network() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let payment = world.draft(&account, 250_000).unwrap();
    let backup = world.rows.clone();
    let psbt = world.sign(&account, &payment);
    world.approve(&payment, psbt).unwrap();
    let sent = world.sent().pop().unwrap();

    world.rows = backup;
    world.restart();
    assert_eq!(world.payment(&payment).state, PaymentState::Draft);
    world.seen(vec![sent.clone()]);
    assert_eq!(world.payment(&payment).state, PaymentState::Seen);
    world.give(Input::Chain(ChainEvent::Mempool { seen: vec![], evicted: vec![sent.compute_txid()] }));
    assert_eq!(world.payment(&payment).state, PaymentState::Signed);
    world.now += 60;
    world.give(Input::Wake);
    let again = world.sent();
    assert!(
        !again.is_empty() && again.iter().all(|transaction| *transaction == sent),
        "it is sent again, whole"
    );
    world.mine(vec![sent]);
    assert_eq!(world.payment(&payment).state, PaymentState::Confirmed);
}

/// Drafts of one intent on one coin are often the same transaction.
#[test]
fn a_cancelled_draft_stays_cancelled_when_its_twin_is_sent() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let mut cancelled: Vec<Payment> = Vec::new();
    let payment = loop {
        let draft = world.draft(&account, 250_000).unwrap();
        if cancelled.iter().any(|other| other.txid == draft.txid) {
            break draft;
        }
        world.device_asks(Command::CancelPayment(draft.id)).unwrap();
        cancelled.push(draft);
        assert!(cancelled.len() < 16, "two outputs have two orders");
    };
    let psbt = world.sign(&account, &payment);
    world.approve(&payment, psbt).unwrap();
    let sent = world.sent().pop().unwrap();
    world.seen(vec![sent.clone()]);
    world.mine(vec![sent]);
    assert_eq!(world.payment(&payment).state, PaymentState::Confirmed);
    for draft in &cancelled {
        assert_eq!(world.payment(draft).state, PaymentState::Cancelled);
    }
    let page = HistoryPage { limit: 10 };
    let Ok(Answer::History(history)) = world.device_asks(Command::History(account.id, page)) else {
        panic!()
    };
    assert!(history.entries.iter().any(|entry| entry.payment == Some(payment.id)));
}

#[test]
fn a_cancelled_draft_on_the_network_frees_no_coin_of_another() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let first = world.draft(&account, 250_000).unwrap();
    let backup = world.rows.clone();
    let psbt = world.sign(&account, &first);
    world.approve(&first, psbt).unwrap();
    let sent = world.sent().pop().unwrap();

    world.rows = backup;
    world.restart();
    world.device_asks(Command::CancelPayment(first.id)).unwrap();
    world.draft(&account, 300_000).unwrap();
    world.seen(vec![sent.clone()]);
    assert_eq!(world.payment(&first).state, PaymentState::Seen);
    let evicted = vec![sent.compute_txid()];
    world.give(Input::Chain(ChainEvent::Mempool { seen: vec![], evicted }));
    world.give(Input::Broadcast(sent.compute_txid(), BroadcastOutcome::Refused("too old".into())));
    assert_eq!(world.payment(&first).state, PaymentState::Signed, "a node had it");
    assert!(
        matches!(world.draft(&account, 250_000), Err(Refusal::Funds(_))),
        "the second draft holds the coin"
    );
}

#[test]
fn what_cannot_be_paid_is_refused_by_field() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let id = account.id;
    let pay = |recipients: Vec<(&str, u64)>, fee_rate: FeeRate| NewPayment {
        recipients: recipients.into_iter().map(|(to, sat)| pays(to, sat)).collect(),
        fee_rate: Some(fee_rate),
        note: None,
    };
    let mainnet = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let bad = [
        (pay(vec![], RATE), "recipients"),
        (pay(vec![(mainnet, 10_000)], RATE), "recipients"),
        (pay(vec![(OUTSIDE, 1)], RATE), "recipients"),
        (pay(vec![(OUTSIDE, u64::MAX), (OUTSIDE, 10_000)], RATE), "recipients"),
        (pay(vec![(OUTSIDE, 10_000); 101], RATE), "recipients"),
        (pay(vec![(OUTSIDE, 10_000)], FeeRate::ZERO), "fee_rate"),
        (pay(vec![(OUTSIDE, 10_000)], FeeRate::from_sat_per_kwu(24)), "fee_rate"),
        (pay(vec![(OUTSIDE, 10_000)], FeeRate::MAX), "fee_rate"),
    ];
    for (body, field) in bad {
        let refusal = world.refused(world.device.caller(), Command::NewPayment(id, body));
        assert!(
            matches!(refusal, Refusal::Invalid { field: found, .. } if found == field),
            "{field}: {refusal}"
        );
    }
    let too_dear = Command::NewPayment(id, pay(vec![(OUTSIDE, 10_000)], rate::sat_per_vb(900)));
    assert!(matches!(world.ask(world.device.caller(), too_dear), Err(Refusal::Unsafe(_))));
    let too_much = Command::NewPayment(id, pay(vec![(OUTSIDE, 2_000_000)], RATE));
    assert!(matches!(world.ask(world.device.caller(), too_much), Err(Refusal::Funds(_))));
}

#[test]
fn another_spend_of_the_same_coin_fails_the_payment() {
    let mut world = World::adopted();
    let account = world.account();
    let address = world.receive(&account);
    let coin = world.paid_in(&address, 1_000_000);
    world.mine(vec![coin.clone()]);
    let payment = world.draft(&account, 250_000).unwrap();
    let psbt = world.sign(&account, &payment);
    world.approve(&payment, psbt).unwrap();
    world.told();
    // The owner spent it elsewhere, with P and R.
    let rival = spend(OutPoint { txid: coin.compute_txid(), vout: 0 }, ScriptBuf::new_op_return([7; 4]), 0);
    world.mine(vec![rival]);
    world.mine_empty(5);
    let failed = world.payment(&payment);
    assert_eq!(failed.state, PaymentState::Failed, "{failed:?}");
    let told = world.told();
    assert!(
        told.iter()
            .any(|event| matches!(event, EventKind::PaymentChanged { state: PaymentState::Failed, .. }))
    );
}

#[test]
fn a_reorganised_payment_is_confirmed_again() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    world.mine_empty(1);
    let payment = world.draft(&account, 250_000).unwrap();
    let psbt = world.sign(&account, &payment);
    world.approve(&payment, psbt).unwrap();
    let sent = world.sent();
    world.mine(sent.clone());
    world.reorganise(1);
    assert_eq!(world.payment(&payment).state, PaymentState::Seen);
    world.mine(sent);
    assert_eq!(world.payment(&payment).state, PaymentState::Confirmed);
    assert!(world.effects.iter().all(|effect| !matches!(effect, Effect::Broadcast(..))));
}

#[test]
fn an_evicted_payment_keeps_its_coins_and_is_sent_again() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    let payment = world.draft(&account, 250_000).unwrap();
    let psbt = world.sign(&account, &payment);
    world.approve(&payment, psbt).unwrap();
    let sent = world.sent();
    let txid = sent[0].compute_txid();
    world.give(Input::Broadcast(txid, BroadcastOutcome::Accepted));
    world.now += 61;
    world.give(Input::Chain(ChainEvent::Mempool { seen: vec![], evicted: vec![txid] }));
    assert_eq!(world.payment(&payment).state, PaymentState::Signed);
    assert!(world.sent().iter().any(|again| *again == sent[0]));
    let change = world.balance(&account).total;
    assert_eq!(
        change,
        Amount::from_sat(750_000) - payment.fee,
        "the coin is spent as far as we are concerned"
    );

    let full = BroadcastOutcome::Refused("mempool min fee not met".into());
    world.give(Input::Broadcast(txid, full));
    let waiting = world.payment(&payment);
    assert_eq!(waiting.state, PaymentState::Signed);
    assert!(waiting.detail.unwrap().contains("min fee"));
    world.mine(sent);
    assert_eq!(world.payment(&payment).state, PaymentState::Confirmed);
}

#[test]
fn a_clock_off_by_a_day_delays_no_payment_and_locks_nobody_out() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    world.now += 86_400;
    let payment = world.draft(&account, 250_000).unwrap();
    let psbt = world.sign(&account, &payment);
    world.approve(&payment, psbt).unwrap();
    let sent = world.sent();
    world.now -= 2 * 86_400;
    world.give(Input::Wake);
    assert!(world.device_asks(Command::Status).is_ok());
    world.now += 61;
    world.give(Input::Wake);
    assert!(world.sent().iter().any(|again| *again == sent[0]), "sent again within a minute");
    world.mine(sent);
    assert_eq!(world.payment(&payment).state, PaymentState::Confirmed);
}

fn epoch(world: &mut World) -> u64 {
    match world.device_asks(Command::Status).unwrap() {
        Answer::Status(status) => status.state_epoch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_draft_is_cancelled_and_the_last_sixteen_stay_listed() {
    let mut world = World::adopted();
    let account = world.funded(1_000_000);
    for _ in 0..40 {
        let payment = world.draft(&account, 10_000).unwrap();
        let cancelled = world.device_asks(Command::CancelPayment(payment.id));
        let Ok(Answer::Payment(cancelled)) = cancelled else { panic!("{cancelled:?}") };
        assert_eq!(cancelled.state, PaymentState::Cancelled);
    }
    let Ok(Answer::Payments(list)) = world.device_asks(Command::Payments(account.id)) else { panic!() };
    assert_eq!(list.payments.len(), 16, "the last ones");
}
