//! The libp2p transport for `/onion3/<address>:<port>`, dialling and listening.
//!
//! [`OnionTransport`] gives bare streams; [`authenticated`] adds noise and yamux, [`swarm_config`] what a swarm
//! over Tor needs. Protocol negotiation is lazy on connections *and* on substreams: without the second, which
//! is not libp2p's default, each request costs two round trips in place of one.
//!
//! ```no_run
//! # use autonomy_onion::{DialPolicy, OnionService, CircuitRole, Tor, transport};
//! # use libp2p::{Swarm, identity::Keypair, ping};
//! # fn swarm(tor: Tor, service: OnionService, keypair: Keypair) -> Result<(), Box<dyn std::error::Error>> {
//! let mut onion = transport::OnionTransport::new(tor, DialPolicy::new(CircuitRole::DEPOSIT));
//! let address = onion.serve(service.listen(9)?);
//! let boxed = transport::authenticated(onion, &keypair)?;
//! let peer = keypair.public().to_peer_id();
//! let mut swarm = Swarm::new(boxed, ping::Behaviour::new(transport::ping_config()), peer, transport::swarm_config());
//! swarm.listen_on(address)?;
//! # Ok(())
//! # }
//! ```
//!
//! `ping` never closes a connection by itself: on a failed ping call `Swarm::close_connection` and
//! [`Tor::rotate`].

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};
use libp2p::{
    Multiaddr, PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent, timeout::TransportTimeout},
        upgrade::Version,
    },
    identity::Keypair,
    noise, ping, swarm, yamux,
};

use crate::{AddressError, DialError, DialPolicy, OnionAddress, OnionStream, PortListener, Tor};

/// Time for the noise handshake beside the dial's own limit: two round trips of a slow circuit.
const HANDSHAKE_ALLOWANCE: Duration = Duration::from_secs(15);
/// An idle connection is kept for an hour: a warm one saves its next user some seconds.
const IDLE_LIMIT: Duration = Duration::from_secs(3600);
/// libp2p's ping overlooks the first failure, so a dead circuit is found after about the interval, twice the
/// timeout and two seconds of its own: 4 + 2 × 4 + 2 = 14 s.
const PING_INTERVAL: Duration = Duration::from_secs(4);
/// Longer than the round trip of a slow circuit. Where one is slower still, the connection is made
/// anew.
const PING_TIMEOUT: Duration = Duration::from_secs(4);
/// Substreams of one connection; a request takes one, and 32 fill a circuit.
const MAX_SUBSTREAMS: usize = 128;

/// Why a connection was not made or a listener ended.
#[derive(Debug, thiserror::Error)]
pub enum OnionTransportError {
    /// The dial failed.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The address is not one of an onion service.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// `listen_on` was called for an address for which no [`PortListener`] was given.
    #[error("no listener was handed to OnionTransport::serve for this onion address and port")]
    NotServed,
    /// The onion service of a listener has ended.
    #[error("the onion service has ended")]
    ServiceEnded,
}

/// A libp2p transport over onion services. One value serves one swarm.
#[derive(Debug)]
pub struct OnionTransport {
    /// Dials.
    tor: Tor,
    /// The rules of every dial. Its role decides which circuits this transport may use.
    policy: DialPolicy,
    /// Ports that were given to [`OnionTransport::serve`] and wait for `listen_on`.
    served: HashMap<Multiaddr, PortListener>,
    /// Ports on which the swarm listens.
    listeners: HashMap<ListenerId, (Multiaddr, PortListener)>,
    /// Events that the swarm has not polled yet.
    events: VecDeque<Event>,
    /// Wakes the swarm when an event is added.
    waker: Option<Waker>,
}

/// A connection being made; incoming ones are ready at once.
type Upgrade = BoxFuture<'static, Result<OnionStream, OnionTransportError>>;
/// Events of this transport for the swarm.
type Event = TransportEvent<Upgrade, OnionTransportError>;

impl OnionTransport {
    /// A transport that dials by `policy` and listens nowhere yet.
    #[must_use]
    pub fn new(tor: Tor, policy: DialPolicy) -> Self {
        Self {
            tor,
            policy,
            served: HashMap::new(),
            listeners: HashMap::new(),
            events: VecDeque::new(),
            waker: None,
        }
    }

    /// Takes a port of an onion service. Returns the address for `Swarm::listen_on`.
    pub fn serve(&mut self, listener: PortListener) -> Multiaddr {
        let address = listener.address().multiaddr(listener.port());
        self.served.insert(address.clone(), listener);
        address
    }

    /// Queues an event and wakes the swarm.
    fn push_event(&mut self, event: Event) {
        self.events.push_back(event);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Transport for OnionTransport {
    type Output = OnionStream;
    type Error = OnionTransportError;
    type ListenerUpgrade = Upgrade;
    type Dial = Upgrade;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        if OnionAddress::from_multiaddr(&address).is_err() {
            return Err(TransportError::MultiaddrNotSupported(address));
        }
        let listener =
            self.served.remove(&address).ok_or(TransportError::Other(OnionTransportError::NotServed))?;
        self.listeners.insert(id, (address.clone(), listener));
        self.push_event(TransportEvent::NewAddress { listener_id: id, listen_addr: address });
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let found = self.listeners.remove(&id).is_some();
        if found {
            self.push_event(TransportEvent::ListenerClosed { listener_id: id, reason: Ok(()) });
        }
        found
    }

    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<Upgrade, TransportError<Self::Error>> {
        let Ok((onion, port)) = OnionAddress::from_multiaddr(&address) else {
            return Err(TransportError::MultiaddrNotSupported(address));
        };
        let (tor, policy) = (self.tor.clone(), self.policy);
        Ok(async move { Ok(tor.connect(&onion, port, &policy).await?) }.boxed())
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        let mut ended = None;
        for (id, (address, listener)) in &mut self.listeners {
            match listener.poll_next_unpin(cx) {
                Poll::Pending => {}
                Poll::Ready(Some(stream)) => {
                    return Poll::Ready(TransportEvent::Incoming {
                        listener_id: *id,
                        upgrade: futures::future::ready(Ok(stream)).boxed(),
                        local_addr: address.clone(),
                        // Who calls an onion service has no address.
                        send_back_addr: Multiaddr::empty(),
                    });
                }
                Poll::Ready(None) => ended = Some(*id),
            }
        }
        if let Some(id) = ended {
            self.listeners.remove(&id);
            let reason = Err(OnionTransportError::ServiceEnded);
            return Poll::Ready(TransportEvent::ListenerClosed { listener_id: id, reason });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Adds noise, by which the peer proves its key, and yamux, which carries many substreams. Both are
/// negotiated lazily, which saves a round trip each.
///
/// # Errors
/// Noise cannot sign its key with `keypair`; an Ed25519 key always can.
pub fn authenticated(
    transport: OnionTransport,
    keypair: &Keypair,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let limit = transport.policy.total_limit + HANDSHAKE_ALLOWANCE;
    let mut muxer = yamux::Config::default();
    muxer.set_max_num_streams(MAX_SUBSTREAMS);
    let upgraded =
        transport.upgrade(Version::V1Lazy).authenticate(noise::Config::new(keypair)?).multiplex(muxer);
    let muxed = upgraded.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(TransportTimeout::new(muxed, limit).boxed())
}

/// A swarm's configuration for Tor: lazy substreams, idle connections kept for an hour.
#[must_use]
pub fn swarm_config() -> swarm::Config {
    swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE_LIMIT)
        .with_substream_upgrade_protocol_override(Version::V1Lazy)
}

/// Pings that find a dead circuit within about 14 s.
#[must_use]
pub fn ping_config() -> ping::Config {
    ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT)
}
