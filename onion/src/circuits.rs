//! Which circuits of callers are served at a time, and which makes room for another.
//!
//! Who calls is not known before streams are opened, so strangers share the limits with contacts. Whoever does nothing
//! with a circuit loses it first: a rendezvous that hangs, then a circuit without a stream. To keep others out takes more
//! than [`MAX_RENDEZVOUS`] rendezvous in the seconds that an honest one takes, for as long as it should last.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::task::{AbortHandle, JoinSet};

/// Circuits of callers open at once. One holds some 75 kB here (800 dials of cold circuits cost the two ends in
/// one process 126 MB), so at most about 38 MB.
pub const MAX_CIRCUITS: usize = 512;
/// Rendezvous under way at once. Each builds a circuit of three or four relays, 75 kB here: 10 MB.
pub const MAX_RENDEZVOUS: usize = 128;

/// How far a circuit is; shared by its task, its streams and the list of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct CircuitState {
    /// The rendezvous stands.
    stands: Arc<AtomicBool>,
    /// Held by the list of all circuits, by the task, and by each stream.
    holders: Arc<()>,
}

/// Holders of a circuit without streams: the list and the task.
const WITHOUT_STREAMS: usize = 2;

/// The circuits in service.
#[derive(Debug, Default)]
pub(crate) struct Circuits {
    tasks: JoinSet<()>,
    /// All of them, the oldest first.
    by_age: VecDeque<Circuit>,
}

#[derive(Debug)]
struct Circuit {
    task: AbortHandle,
    state: CircuitState,
}

impl CircuitState {
    /// The rendezvous is made.
    pub(crate) fn stands(&self) {
        self.stands.store(true, Ordering::Relaxed);
    }

    /// A stream of this circuit is open until what this gives is dropped.
    pub(crate) fn of_stream(&self) -> Arc<()> {
        self.holders.clone()
    }

    /// Whether no stream is open.
    pub(crate) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.holders) <= WITHOUT_STREAMS
    }

    fn is_under_way(&self) -> bool {
        !self.stands.load(Ordering::Relaxed)
    }
}

impl Circuits {
    /// Serves one more, in a task of its own. At a limit the oldest makes room that does nothing; where all are in use,
    /// the newcomer is not served, and `false` says so.
    pub(crate) fn serve<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        serve: impl FnOnce(CircuitState) -> F,
    ) -> bool {
        self.by_age.retain(|circuit| !circuit.task.is_finished());
        let under_way = self.by_age.iter().filter(|circuit| circuit.state.is_under_way()).count();
        if under_way >= MAX_RENDEZVOUS {
            self.end_oldest(CircuitState::is_under_way);
        }
        if self.by_age.len() >= MAX_CIRCUITS && !self.end_oldest(CircuitState::is_idle) {
            return false;
        }
        let state = CircuitState::default();
        let task = self.tasks.spawn(serve(state.clone()));
        self.by_age.push_back(Circuit { task, state });
        true
    }

    /// Waits until one of them ends; while there are none it does not return.
    pub(crate) async fn one_ends(&mut self) {
        if self.tasks.join_next().await.is_none() {
            std::future::pending().await
        }
    }

    /// Waits until all have ended.
    pub(crate) async fn all_end(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    fn end_oldest(&mut self, which: impl Fn(&CircuitState) -> bool) -> bool {
        let oldest = self.by_age.iter().position(|circuit| which(&circuit.state));
        let Some(circuit) = oldest.and_then(|at| self.by_age.remove(at)) else { return false };
        tracing::debug!("a circuit that does nothing makes room for a newer one");
        circuit.task.abort();
        true
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    /// A rendezvous that hangs; says when it was ended.
    fn hangs(circuits: &mut Circuits) -> oneshot::Receiver<()> {
        let (ended, ends) = oneshot::channel();
        assert!(circuits.serve(|_state| async move {
            let _ended: oneshot::Sender<()> = ended;
            pending().await
        }));
        ends
    }

    /// A circuit that stands, with an open stream or without.
    async fn stands(circuits: &mut Circuits, in_use: bool) -> (oneshot::Receiver<()>, Option<Arc<()>>) {
        let ((ended, ends), (up, is_up)) = (oneshot::channel(), oneshot::channel());
        assert!(circuits.serve(|state| async move {
            let _ended: oneshot::Sender<()> = ended;
            state.stands();
            let _ = up.send(in_use.then(|| state.of_stream()));
            let _state = state;
            pending().await
        }));
        (ends, is_up.await.unwrap())
    }

    #[tokio::test]
    async fn hanging_rendezvous_make_room_and_the_oldest_goes_first() {
        let mut circuits = Circuits::default();
        let (_, honest) = (stands(&mut circuits, true).await, stands(&mut circuits, false).await);
        let mut hanging: Vec<_> = (0..MAX_RENDEZVOUS).map(|_| hangs(&mut circuits)).collect();
        let newest = hangs(&mut circuits);
        assert!(hanging.remove(0).await.is_err(), "the oldest has to make room");
        for mut waits in hanging.into_iter().chain([newest, honest.0]) {
            assert!(matches!(waits.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
        }
    }

    #[tokio::test]
    async fn circuit_without_a_stream_makes_room_and_one_in_use_does_not() {
        let mut circuits = Circuits::default();
        let mut in_use = Vec::new();
        for _ in 1..MAX_CIRCUITS {
            in_use.push(stands(&mut circuits, true).await);
        }
        let idle = stands(&mut circuits, false).await;
        in_use.push(stands(&mut circuits, true).await);
        assert!(idle.0.await.is_err(), "the idle one has to make room");
        // Nobody does nothing now.
        assert!(!circuits.serve(|_| pending()));
        for (waits, _) in &mut in_use {
            assert!(matches!(waits.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
        }
        in_use.pop();
        assert!(circuits.serve(|_| pending()));
    }

    #[tokio::test]
    async fn circuits_that_ended_leave_their_places() {
        let mut circuits = Circuits::default();
        for _ in 0..3 * MAX_CIRCUITS {
            assert!(circuits.serve(|state| async move { state.stands() }));
            circuits.one_ends().await;
        }
        circuits.all_end().await;
    }
}
