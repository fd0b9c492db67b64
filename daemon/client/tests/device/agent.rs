//! The agent: a proxy that adds nothing to answers and ends by itself.

use std::{path::PathBuf, time::Duration};

use autonomy_api::{AccountId, NewPayment};
use autonomy_client::{
    CallError, PodClient, Transport,
    agent::{
        Phase,
        acceptor::{Acceptor, AgentLock},
        serve::{Link, serve},
        start,
    },
};
use tokio::{sync::watch, task::JoinHandle};

use crate::world::{Hand, World};

struct Agent {
    socket: PathBuf,
    link: watch::Sender<Link>,
    running: JoinHandle<std::io::Result<()>>,
}

fn agent(world: &World, link: Link, idle: Duration) -> Agent {
    let socket = world.dir.path().join("agent.sock");
    let lock = AgentLock::take(&socket).unwrap();
    let acceptor = Acceptor::open(&socket, &lock).unwrap();
    let (link, seen) = watch::channel(link);
    let running = tokio::spawn(serve(acceptor, "the setup".into(), idle, seen));
    Agent { socket, link, running }
}

fn through(world: &mut World, agent: &Agent) {
    world.device.pod = PodClient::new(Transport::agent(&agent.socket));
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn device_works_through_an_agent() {
    let mut world = World::new().await;
    let agent = agent(&world, Link::ready(Transport::socket(&world.socket)), LONG);
    through(&mut world, &agent);
    let id = world.funded(100_000_000).await.map.id();
    let draft = world.device.draft(&id, &World::pays(25_000_000)).await.unwrap();
    world.device.approve(draft).await.unwrap();
    let mut events = world.device.pod.events(Some(0), true).await.unwrap();
    assert!(events.next().await.unwrap().is_some(), "event streams pass");
}

#[tokio::test]
async fn passphrase_is_held_by_the_agent_and_never_passed_to_the_pod() {
    let world = World::new().await;
    let agent = agent(&world, Link::ready(Transport::socket(&world.socket)), LONG);
    let transport = Transport::agent(&agent.socket);
    assert!(start::kept_passphrase(&transport).await.is_none());
    start::keep_passphrase(&transport, "correct horse", LONG).await.unwrap();
    assert_eq!(start::kept_passphrase(&transport).await.unwrap().as_str(), "correct horse");
    let long = "x".repeat(5_000);
    assert!(start::keep_passphrase(&transport, &long, LONG).await.is_err());
    start::keep_passphrase(&transport, "soon over", Duration::ZERO).await.unwrap();
    assert!(start::kept_passphrase(&transport).await.is_none());
    start::stop(&transport).await.unwrap();
    assert!(start::kept_passphrase(&transport).await.is_none(), "no agent, nothing held");
}

#[tokio::test]
async fn requests_wait_until_tor_has_started() {
    let mut world = World::new().await;
    let agent = agent(&world, Link::begin(), LONG);
    through(&mut world, &agent);
    let status = start::status(world.device.pod.transport()).await.unwrap();
    assert_eq!((status.phase, status.setup.as_str()), (Phase::Starting, "the setup"));
    let transport = Transport::socket(&world.socket);
    let (answer, ()) = tokio::join!(world.device.status(), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        agent.link.send_replace(Link::ready(transport));
    });
    answer.unwrap();
}

#[tokio::test]
async fn failed_tor_start_is_reported_and_ends_the_agent() {
    let mut world = World::new().await;
    let agent = agent(&world, Link::failed("the clock is wrong".into()), LONG);
    through(&mut world, &agent);
    let error = world.device.pod.status().await.unwrap_err();
    assert!(matches!(&error, CallError::Unreachable { detail, .. } if detail.contains("clock")), "{error}");
    agent.running.await.unwrap().unwrap();
    assert!(!agent.socket.exists());
}

#[tokio::test]
async fn unreachable_pod_and_unreachable_agent_differ() {
    let mut world = World::new().await;
    let gone = Transport::socket(&world.dir.path().join("nobody.sock"));
    let agent = agent(&world, Link::ready(gone), LONG);
    through(&mut world, &agent);
    let error = world.device.pod.status().await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { never_sent: true, .. }), "{error}");
}

#[tokio::test]
async fn pod_cannot_forge_the_agents_not_sent_report() {
    let mut world = World::new().await;
    let agent = agent(&world, Link::ready(Transport::socket(&world.socket)), LONG);
    through(&mut world, &agent);
    world.hand("GET", "/v1/status", Hand::PosesAsAgent);
    let error = world.device.pod.status().await.unwrap_err();
    assert!(matches!(&error, CallError::Refused { kind, .. } if kind == "pod-unreachable"), "{error}");
}

#[tokio::test]
async fn broken_answer_of_the_pod_breaks_at_the_client_too() {
    let mut world = World::new().await;
    let agent = agent(&world, Link::ready(Transport::socket(&world.socket)), LONG);
    through(&mut world, &agent);
    world.hand("GET", "/v1/status", Hand::Break(1));
    world.device.status().await.expect("repeated once, it works");
}

#[tokio::test]
async fn agent_ends_when_idle_and_at_once_when_stopped() {
    let mut world = World::new().await;
    let idle = agent(&world, Link::ready(Transport::socket(&world.socket)), Duration::from_millis(100));
    idle.running.await.unwrap().unwrap();
    assert!(!idle.socket.exists());

    let reported = agent(&world, Link::ready(Transport::socket(&world.socket)), LONG);
    through(&mut world, &reported);
    let _stream = world.device.pod.events(Some(0), true).await.unwrap();
    start::stop(world.device.pod.transport()).await.unwrap();
    reported.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn oversized_request_is_refused() {
    let mut world = World::new().await;
    let agent = agent(&world, Link::ready(Transport::socket(&world.socket)), LONG);
    through(&mut world, &agent);
    let recipients = vec![World::pays(1).recipients.remove(0); 200_000];
    let wish = NewPayment { recipients, ..World::pays(1) };
    let error = world.device.pod.draft_payment(&AccountId::from_bytes([0; 16]), &wish).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Refused { status: 413, .. } | CallError::Unanswered { .. }),
        "{error}"
    );
}
