//! A pod of a thousand contacts under callers who ask for much, over HTTP on a Unix socket: how long the status takes
//! beside them, and what their bodies leave in memory.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use autonomy_api::{ContactId, MAX_PARCEL_BODY};
use autonomy_daemon::{
    driver::Handle,
    server::{ApiState, router, routes::OnionState},
};
use autonomy_node::Caller;
use axum::Extension;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::watch,
    task::JoinSet,
};

use crate::crowd::resident;

const READERS: usize = 64;
/// How often the status is asked for.
const ASKED: usize = 1_000;
const PARCELS: usize = 128;

pub(crate) async fn measure(handle: &Handle, contact: ContactId) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("pod.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let (_keep, onion) = watch::channel(OnionState::default());
    let state = ApiState { handle: handle.clone(), onion, started_at: 0 };
    let routes = router(state).layer(Extension(Caller::Owner));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, routes).await.unwrap() });

    let idle = status_times(&socket).await;
    println!("status, idle: p50 {:.2?}, p99 {:.2?}", idle[ASKED / 2], idle[ASKED * 99 / 100]);
    let lists = ["/v1/contacts".to_owned(), format!("/v1/contacts/{contact}/safety")];
    for reader in 0..READERS {
        let (socket, path) = (socket.clone(), lists[reader % lists.len()].clone());
        tasks.spawn(async move {
            let mut stream = connect(&socket).await;
            loop {
                assert_eq!(get(&mut stream, &path).await, 200);
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let beside = status_times(&socket).await;
    println!(
        "status beside {READERS} readers: p50 {:.2?}, p99 {:.2?}",
        beside[ASKED / 2],
        beside[ASKED * 99 / 100]
    );
    tasks.shutdown().await;
}

/// Posts many parcels at once that hold nothing.
pub(crate) async fn parcels(handle: &Handle) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("pod.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let (_keep, onion) = watch::channel(OnionState::default());
    let state = ApiState { handle: handle.clone(), onion, started_at: 0 };
    let routes = router(state).layer(Extension(Caller::Owner));
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, routes).await.unwrap() });
    let before = resident();
    let mut posts = JoinSet::new();
    for number in 0..PARCELS {
        posts.spawn(post(socket.clone(), number));
    }
    let statuses = posts.join_all().await;
    let refused = statuses.iter().filter(|status| **status == 503).count();
    println!("{PARCELS} parcels of {MAX_PARCEL_BODY} B at once, {refused} asked to come again");
    println!("memory before: {before} kB, after: {} kB", resident());
    server.shutdown().await;
}

/// One parcel of zeros, written from a small buffer.
async fn post(socket: PathBuf, number: usize) -> u16 {
    let mut stream = connect(&socket).await;
    let head = format!(
        "POST /v1/parcels HTTP/1.1\r\nHost: pod\r\nIdempotency-Key: p{number}\r\nContent-Length: {MAX_PARCEL_BODY}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let part = vec![0; 64 * 1024];
    let mut left = MAX_PARCEL_BODY;
    while left > 0 {
        let next = left.min(part.len());
        // Whoever is refused early is answered before all is sent.
        if stream.write_all(&part[..next]).await.is_err() {
            break;
        }
        left -= next;
    }
    answer(&mut stream).await
}

/// How long each of many questions for the status took, shortest first.
async fn status_times(socket: &Path) -> Vec<Duration> {
    let mut stream = connect(socket).await;
    let mut times = Vec::with_capacity(ASKED);
    for _ in 0..ASKED {
        let since = Instant::now();
        assert_eq!(get(&mut stream, "/v1/status").await, 200);
        times.push(since.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    times.sort_unstable();
    times
}

async fn connect(socket: &Path) -> BufReader<UnixStream> {
    BufReader::new(UnixStream::connect(socket).await.unwrap())
}

async fn get(stream: &mut BufReader<UnixStream>, path: &str) -> u16 {
    let request = format!("GET {path} HTTP/1.1\r\nHost: pod\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    answer(stream).await
}

/// Reads one answer to its end; 0 where the connection ends without one.
async fn answer(stream: &mut BufReader<UnixStream>) -> u16 {
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or_default() == 0 {
            return status;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or_default();
        } else if let Some(rest) = line.strip_prefix("content-length: ") {
            length = rest.parse().unwrap_or_default();
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    let _ = stream.read_exact(&mut body).await;
    status
}
