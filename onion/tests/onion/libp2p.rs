//! Two libp2p peers that know each other by onion address.

use autonomy_onion::{
    CircuitRole, DialPolicy, OnionKey, ServiceAccess, Tor,
    transport::{OnionTransport, authenticated, ping_config, swarm_config},
};
use futures::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm,
    identity::Keypair,
    ping,
    request_response::{self, Message, ProtocolSupport},
    swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
};

use crate::world::{ECHO, in_world, launch, reach};

#[derive(NetworkBehaviour)]
struct Behaviour {
    ask: request_response::Behaviour<Blob>,
    ping: ping::Behaviour,
}

/// Requests and answers of at most 64 kB, as they are.
#[derive(Clone, Default)]
struct Blob;

fn swarm(transport: OnionTransport) -> Swarm<Behaviour> {
    let keypair = Keypair::generate_ed25519();
    let peer = keypair.public().to_peer_id();
    let protocols = [(StreamProtocol::new("/test/ask/1"), ProtocolSupport::Full)];
    let behaviour = Behaviour {
        ask: request_response::Behaviour::with_codec(Blob, protocols, request_response::Config::default()),
        ping: ping::Behaviour::new(ping_config()),
    };
    Swarm::new(
        authenticated(transport, &keypair).expect("an Ed25519 key signs"),
        behaviour,
        peer,
        swarm_config(),
    )
}

/// A peer that answers each request with its own bytes, reversed.
async fn answering(tor: &Tor) -> (Multiaddr, PeerId, tokio::task::JoinHandle<()>) {
    let service = launch(tor, ServiceAccess::Open).await;
    let mut transport = OnionTransport::new(tor.clone(), DialPolicy::new(CircuitRole::DEPOSIT));
    let address = transport.serve(service.listen(9).expect("free"));
    let mut swarm = swarm(transport);
    swarm.listen_on(address.clone()).expect("the transport serves this address");
    let peer = *swarm.local_peer_id();
    let task = tokio::runtime::Handle::current().spawn(async move {
        loop {
            if let SwarmEvent::Behaviour(BehaviourEvent::Ask(request_response::Event::Message {
                message: Message::Request { mut request, channel, .. },
                ..
            })) = swarm.select_next_some().await
            {
                request.reverse();
                let _ = swarm.behaviour_mut().ask.send_response(channel, request);
            }
        }
    });
    (address, peer, task)
}

async fn next_answer(swarm: &mut Swarm<Behaviour>) -> Vec<u8> {
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::Behaviour(BehaviourEvent::Ask(request_response::Event::Message {
                message: Message::Response { response, .. },
                ..
            })) => return response,
            SwarmEvent::Behaviour(BehaviourEvent::Ask(request_response::Event::OutboundFailure {
                error,
                ..
            })) => {
                panic!("no answer: {error}")
            }
            _ => {}
        }
    }
}

#[test]
fn requests_and_responses_share_one_connection() {
    in_world(|world| async {
        let (address, peer, task) = answering(&world.pod).await;
        let (onion, _) = autonomy_onion::OnionAddress::from_multiaddr(&address).unwrap();
        reach(&world.device, &onion, ECHO).await;

        let mut caller =
            swarm(OnionTransport::new(world.device.clone(), DialPolicy::new(CircuitRole::COLLECT)));
        caller.add_peer_address(peer, address);
        for n in 0..3u8 {
            caller.behaviour_mut().ask.send_request(&peer, vec![n, 1, 2]);
            assert_eq!(next_answer(&mut caller).await, [2, 1, n]);
        }
        for n in 0..32u8 {
            caller.behaviour_mut().ask.send_request(&peer, vec![n; 16_384]);
        }
        for _ in 0..32 {
            assert_eq!(next_answer(&mut caller).await.len(), 16_384);
        }
        assert_eq!(caller.network_info().num_peers(), 1);
        task.abort();
    });
}

#[test]
fn peer_with_another_key_is_refused() {
    in_world(|world| async {
        let (address, _, task) = answering(&world.pod).await;
        let (onion, _) = autonomy_onion::OnionAddress::from_multiaddr(&address).unwrap();
        reach(&world.device, &onion, ECHO).await;
        let someone_else = Keypair::generate_ed25519().public().to_peer_id();
        let error = dial(&world.device, someone_else, address).await;
        assert!(error.contains("Unexpected peer"), "{error}");
        task.abort();
    });
}

#[test]
fn failed_dial_reports_the_reason() {
    in_world(|world| async {
        let nobody = OnionKey::from_seed([250; 32]).address().multiaddr(9);
        let error = dial(&world.device, Keypair::generate_ed25519().public().to_peer_id(), nobody).await;
        assert!(error.contains("not published"), "{error}");
        let tcp = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let error = dial(&world.device, Keypair::generate_ed25519().public().to_peer_id(), tcp).await;
        assert!(error.contains("not supported") || error.contains("Unsupported"), "{error}");
    });
}

/// The text of the error of a dial that must fail.
async fn dial(tor: &Tor, peer: PeerId, address: Multiaddr) -> String {
    let mut swarm = swarm(OnionTransport::new(tor.clone(), DialPolicy::new(CircuitRole::DEPOSIT)));
    if let Err(error) = swarm.dial(DialOpts::peer_id(peer).addresses(vec![address]).build()) {
        return error.to_string();
    }
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::OutgoingConnectionError { error, .. } => return format!("{error} {error:?}"),
            SwarmEvent::ConnectionEstablished { .. } => panic!("connected"),
            _ => {}
        }
    }
}

mod codec {
    use std::io;

    use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
    use libp2p::{StreamProtocol, request_response::Codec};

    use super::Blob;

    const MAX: u64 = 65_536;

    async fn read<T: AsyncRead + Unpin + Send>(io: &mut T) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io.take(MAX).read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    async fn write<T: AsyncWrite + Unpin + Send>(io: &mut T, bytes: Vec<u8>) -> io::Result<()> {
        io.write_all(&bytes).await?;
        io.close().await
    }

    impl Codec for Blob {
        type Protocol = StreamProtocol;
        type Request = Vec<u8>;
        type Response = Vec<u8>;

        async fn read_request<T: AsyncRead + Unpin + Send>(
            &mut self,
            _: &StreamProtocol,
            io: &mut T,
        ) -> io::Result<Vec<u8>> {
            read(io).await
        }
        async fn read_response<T: AsyncRead + Unpin + Send>(
            &mut self,
            _: &StreamProtocol,
            io: &mut T,
        ) -> io::Result<Vec<u8>> {
            read(io).await
        }
        async fn write_request<T: AsyncWrite + Unpin + Send>(
            &mut self,
            _: &StreamProtocol,
            io: &mut T,
            bytes: Vec<u8>,
        ) -> io::Result<()> {
            write(io, bytes).await
        }
        async fn write_response<T: AsyncWrite + Unpin + Send>(
            &mut self,
            _: &StreamProtocol,
            io: &mut T,
            bytes: Vec<u8>,
        ) -> io::Result<()> {
            write(io, bytes).await
        }
    }
}
