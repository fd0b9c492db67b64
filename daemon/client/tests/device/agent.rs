//! The agent: a proxy that adds nothing and ends by itself.

use std::{path::PathBuf, time::Duration};

use autonomy_api::{AccountId, NewPayment};
use autonomy_client::{
    CallError, PodClient, Transport,
    agent::{
        Phase,
        door::{AgentLock, Door},
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
    let door = Door::open(&socket, &lock).unwrap();
    let (link, seen) = watch::channel(link);
    let running = tokio::spawn(serve(door, "the setup".into(), idle, seen));
    Agent { socket, link, running }
}

fn through(world: &mut World, agent: &Agent) {
    world.device.pod = PodClient::new(Transport::agent(&agent.socket));
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_device_works_through_an_agent_as_it_does_without() {
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
async fn requests_wait_while_tor_starts() {
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
async fn when_tor_does_not_start_the_reason_is_told_and_the_agent_ends() {
    let mut world = World::new().await;
    let agent = agent(&world, Link::failed("the clock is wrong".into()), LONG);
    through(&mut world, &agent);
    let error = world.device.pod.status().await.unwrap_err();
    assert!(matches!(&error, CallError::Unreachable { detail, .. } if detail.contains("clock")), "{error}");
    agent.running.await.unwrap().unwrap();
    assert!(!agent.socket.exists());
}

#[tokio::test]
async fn a_pod_that_cannot_be_reached_is_told_from_an_agent_that_cannot() {
    let mut world = World::new().await;
    let gone = Transport::socket(&world.dir.path().join("nobody.sock"));
    let agent = agent(&world, Link::ready(gone), LONG);
    through(&mut world, &agent);
    let error = world.device.pod.status().await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { never_sent: true, .. }), "{error}");
}

#[tokio::test]
async fn a_pod_cannot_say_in_the_agents_name_that_nothing_was_sent() {
    let mut world = World::new().await;
    let agent = agent(&world, Link::ready(Transport::socket(&world.socket)), LONG);
    through(&mut world, &agent);
    world.hand("GET", "/v1/status", Hand::PosesAsAgent);
    let error = world.device.pod.status().await.unwrap_err();
    assert!(matches!(&error, CallError::Refused { kind, .. } if kind == "pod-unreachable"), "{error}");
}

#[tokio::test]
async fn an_answer_that_breaks_behind_the_agent_breaks_in_front_of_it_too() {
    let mut world = World::new().await;
    let agent = agent(&world, Link::ready(Transport::socket(&world.socket)), LONG);
    through(&mut world, &agent);
    world.hand("GET", "/v1/status", Hand::Break(1));
    world.device.status().await.expect("repeated once, it works");
}

#[tokio::test]
async fn an_idle_agent_ends_and_one_that_is_told_to_ends_at_once_also_with_a_stream_open() {
    let mut world = World::new().await;
    let idle = agent(&world, Link::ready(Transport::socket(&world.socket)), Duration::from_millis(100));
    idle.running.await.unwrap().unwrap();
    assert!(!idle.socket.exists());

    let told = agent(&world, Link::ready(Transport::socket(&world.socket)), LONG);
    through(&mut world, &told);
    let _stream = world.device.pod.events(Some(0), true).await.unwrap();
    start::stop(world.device.pod.transport()).await.unwrap();
    told.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_larger_than_any_is_refused() {
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
