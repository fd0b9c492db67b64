//! The peer service at each of its addresses: launched, watched and ended as the node says.
//!
//! The node moves the service to another onion address now and then, and keeps the one before for a while. A pod that is
//! reached through relays only has none. A relay beside the pod stays at the address of the owner's own seed, which its
//! users know; so there are three addresses at most.

use std::future::pending;

use autonomy_messaging::{OnionSeed, place::PLACE_PORT, wire::PROTOCOL};
use autonomy_onion::{
    OnionKey, OnionService, ServiceAccess, ServiceConfig, Tor,
    peers::PeerServer,
    reachability::{self, Reachability, Report},
};
use futures::future::select_all;
use tokio::{sync::watch, task::JoinSet};

use super::{
    PodError,
    services::{Parts, nickname, service_status},
};
use crate::{
    driver::Admitted,
    peers::server::{self, RequestRouter},
    server::routes::OnionState,
};

/// What the services are made of, and where they are to be.
pub(super) struct PeerServices {
    tor: Tor,
    /// The seed of the pod's libp2p identity, which is the same at all addresses.
    parts: Parts,
    admitted: watch::Receiver<Admitted>,
    onion: watch::Sender<OnionState>,
    running: Vec<PeerService>,
}

/// The service at one address. It ends when this is dropped.
struct PeerService {
    service: OnionService,
    report: Report,
    changes: watch::Receiver<Reachability>,
    /// Serves callers.
    task: JoinSet<()>,
}

/// What became of a service.
enum Happened {
    /// It is reached now, or no longer.
    Changed,
    /// It has ended by itself.
    Ended,
}

impl PeerServices {
    /// None of them runs yet.
    pub(super) fn new(
        tor: &Tor,
        parts: &Parts,
        admitted: watch::Receiver<Admitted>,
        onion: &watch::Sender<OnionState>,
    ) -> Self {
        Self { tor: tor.clone(), parts: parts.clone(), admitted, onion: onion.clone(), running: Vec::new() }
    }

    /// Runs them until `stop` turns true.
    ///
    /// # Errors
    /// One could not be launched, or has ended by itself. The others end with it.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), PodError> {
        loop {
            self.launch_and_end(&stop).await?;
            self.publish();
            tokio::select! {
                // First, since the tasks end by it too.
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                changed = self.admitted.changed() => if changed.is_err() { return Ok(()) },
                happened = happens(&mut self.running) => if let Happened::Ended = happened {
                    return Err(PodError::system("serving over Tor", "a service ended"));
                },
            }
        }
    }

    /// Where the services are to be: what the node says, the present address first; then that of the relay.
    fn wanted(&mut self) -> Vec<OnionSeed> {
        let mut wanted = self.admitted.borrow_and_update().peer_seeds.clone();
        let first = OnionSeed::from_bytes(&self.parts.owner.peer_seed);
        if self.parts.relay.is_some() && !wanted.contains(&first) {
            wanted.push(first);
        }
        wanted
    }

    /// Ends those that are not wanted any more, and launches those that do not run.
    ///
    /// # Errors
    /// Tor refused to launch one.
    async fn launch_and_end(&mut self, stop: &watch::Receiver<bool>) -> Result<(), PodError> {
        let mut running = std::mem::take(&mut self.running);
        for seed in self.wanted() {
            let address = key(&seed).address();
            let known = running.iter().position(|service| service.service.address() == address);
            let service = match known {
                Some(known) => running.swap_remove(known),
                None => self.launch(&seed, stop).await?,
            };
            self.running.push(service);
        }
        Ok(())
    }

    /// Launches the service at one address. A relay is served at the owner's own alone.
    ///
    /// # Errors
    /// Tor refused.
    async fn launch(&self, seed: &OnionSeed, stop: &watch::Receiver<bool>) -> Result<PeerService, PodError> {
        let failed =
            |error: &dyn std::fmt::Display| PodError::system("launching the peer onion service", error);
        let key = key(seed);
        let nickname = nickname("peer", &key);
        let config = ServiceConfig { nickname, key, access: ServiceAccess::Open, echo_port: None };
        let service = self.tor.launch(config).await.map_err(|error| failed(&error))?;
        let listener = service.listen(PLACE_PORT).map_err(|error| failed(&error))?;
        let server = PeerServer::start(listener, &self.parts.pod_seed, PROTOCOL);
        let server = server.map_err(|error| failed(&error))?;
        let is_first = *seed == OnionSeed::from_bytes(&self.parts.owner.peer_seed);
        let relay = self.parts.relay.clone().filter(|_| is_first);
        let router = RequestRouter::new(self.parts.network.as_ref(), relay);
        let mut task = JoinSet::new();
        task.spawn(server::serve(server, router, stop.clone()));
        let report = reachability::watch(service.clone());
        Ok(PeerService { changes: report.subscribe(), service, report, task })
    }

    /// Publishes the state of the service at its present address; none where it is not reached at any.
    fn publish(&self) {
        self.onion.send_modify(|state| {
            let status = |present: &PeerService| {
                service_status(&present.service, &present.report.now(), state.peer.as_ref())
            };
            state.peer = self.running.first().map(status);
        });
    }
}

/// What happens next to one of the services.
async fn happens(running: &mut [PeerService]) -> Happened {
    if running.is_empty() {
        return pending().await;
    }
    let each = running.iter_mut().map(|PeerService { changes, task, .. }| {
        Box::pin(async move {
            tokio::select! {
                _ = task.join_next() => Happened::Ended,
                changed = changes.changed() => changed.map_or(Happened::Ended, |()| Happened::Changed),
            }
        })
    });
    select_all(each).await.0
}

fn key(seed: &OnionSeed) -> OnionKey {
    OnionKey::from_seed(*seed.as_bytes())
}
