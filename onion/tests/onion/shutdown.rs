//! Shutdown in the order that the crate's documentation gives, and in any other order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use autonomy_onion::{CircuitRole, DialPolicy, OnionStream, ServiceAccess, reachability};

use tokio::time::Instant;

use crate::world::{ECHO, echo, folder, launch, reach, start_tor};

/// What lives in a running pod, in a runtime of its own.
struct Pod {
    stream: OnionStream,
    report: reachability::Report,
    service: autonomy_onion::OnionService,
    tor: autonomy_onion::Tor,
}

fn run_a_pod(runtime: &tokio::runtime::Runtime, dir: &std::path::Path) -> Pod {
    runtime.block_on(Box::pin(async {
        let tor = start_tor(dir).await;
        let service = launch(&tor, ServiceAccess::Open).await;
        let report = reachability::watch(service.clone());
        let mut stream = reach(&tor, &service.address(), ECHO).await;
        echo(&mut stream, "alive").await;
        let another = tor.connect(&service.address(), ECHO, &DialPolicy::new(CircuitRole::COLLECT)).await;
        drop(another);
        Pod { stream, report, service, tor }
    }))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts")
}

/// Counts the panics of tasks that outlive their runtime while `act` runs; a test beside this one that fails is
/// not counted.
fn panics_while(act: impl FnOnce()) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.to_string().contains("being shutdown") {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        before(info);
    }));
    act();
    count.load(Ordering::SeqCst)
}

#[test]
fn shutdown_is_quick_and_clean_and_allows_a_restart() {
    let folder = folder();
    let panics = panics_while(|| {
        let ordered = runtime();
        let Pod { stream, report, service, tor } = run_a_pod(&ordered, folder.path());
        drop(stream);
        drop(report);
        drop(service);
        drop(tor);
        let begin = Instant::now();
        ordered.shutdown_timeout(Duration::from_secs(10));
        assert!(begin.elapsed() < Duration::from_secs(10), "nothing is left to wait for");

        let hasty = runtime();
        let pod = run_a_pod(&hasty, folder.path());
        drop(hasty);
        drop(pod);

        let last = runtime();
        drop(run_a_pod(&last, folder.path()));
    });
    assert_eq!(panics, 0);
}
