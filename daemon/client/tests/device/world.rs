//! A pod at a socket, a proxy in between that can change answers, a simulated chain, and a device.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use autonomy_api::{AccountKind, NewPayment, Recipient, Written};
use autonomy_blocks::{block_on, coinbase, spend};
use autonomy_client::{AccountWish, Device, NewAccount, PodClient, Profile, Transport, profile::NewProfile};
use autonomy_daemon::{
    chain::NoChain,
    driver::{self, Handle},
    server::{ApiState, router, routes::OnionState},
};
use autonomy_messaging::{Access, AuthSeed};
use autonomy_node::{Caller, ChainEvent, ChainPoint, Command, Identity, Input, Node, Request, SourceState};
use autonomy_store::{Store, Unlock};
use autonomy_wallet::{
    bitcoin::{
        Address, Amount, BlockHash, Network, OutPoint, Transaction, Txid, address::NetworkUnchecked,
        constants::genesis_block, hashes::Hash as _,
    },
    keys::Seed,
    rate,
};
use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{Request as HttpRequest, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    net::UnixListener,
    sync::{mpsc, watch},
    task::JoinSet,
};

/// An address outside, on regtest.
pub(crate) const OUTSIDE: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
/// Another one, of somebody who should get nothing.
pub(crate) const THIEF: &str = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry";

/// What the hand between does with one request.
pub(crate) enum Hand {
    /// Lets the pod answer, and changes the JSON.
    Change(Box<dyn Fn(&mut Value) + Send>),
    /// Answers in the pod's place.
    Answer(Vec<u8>),
    /// Answers with a status in the pod's place, before the pod hears of it.
    Refuse(u16),
    /// Answers as an agent does that cannot reach the pod, header and all.
    PosesAsAgent,
    /// Lets the pod act, then breaks the connection within the answer, so many times.
    Break(u32),
}

/// Method and path part that the hand waits for, and what it does then.
type Plan = Arc<Mutex<Vec<(&'static str, &'static str, Hand)>>>;

pub(crate) struct World {
    pub(crate) device: Device,
    pub(crate) dir: TempDir,
    pub(crate) pod_seed: [u8; 32],
    pub(crate) request: String,
    pub(crate) socket: PathBuf,
    handle: Handle,
    plan: Plan,
    chain: Vec<(u32, BlockHash)>,
    salt: u32,
    _server: JoinSet<()>,
}

impl World {
    /// A device with its own pod, which follows a chain of one block.
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::draw(Network::Regtest, &mut rand::rngs::OsRng, now());
        let (node, rows) = Node::create(identity);
        let (request, pod_seed) = (node.pod_request().to_text(), *node.pod_seed());
        let store = Store::create(dir.path().join("pod.redb"), &key()).unwrap();
        driver::commit(&store, rows).unwrap();
        // Nobody carries mail out: these stories have no network.
        let (post, _) = mpsc::unbounded_channel();
        let handle = driver::start(node, store, vec![], Arc::new(NoChain), post).unwrap();

        let mut profile = Profile::create(&dir.path().join("device"), &key(), owner()).unwrap();
        let bundle = profile.provision(&request, "home", false, now()).unwrap();
        let adopt =
            Request { caller: Caller::Owner, idempotency_key: None, command: Command::Adopt(read(&bundle)) };
        handle.ask(adopt).await.unwrap().unwrap();

        let plan = Plan::default();
        let socket = dir.path().join("pod.sock");
        let caller = Caller::Device(autonomy_api::DeviceKey(profile.device_key().verifying_key().to_bytes()));
        let mut server = JoinSet::new();
        server.spawn(serve(&socket, handle.clone(), caller, plan.clone()));
        let device = Device { profile, pod: PodClient::new(Transport::socket(&socket)) };
        let mut world = Self {
            device,
            dir,
            pod_seed,
            request,
            socket,
            handle,
            plan,
            chain: Vec::new(),
            salt: 0,
            _server: server,
        };
        world.begin_chain().await;
        world
    }

    /// The hand between waits for a request and does its work on every such one.
    pub(crate) fn hand(&self, method: &'static str, path: &'static str, hand: Hand) {
        self.plan.lock().unwrap().push((method, path, hand));
    }

    /// The hand changes JSON answers.
    pub(crate) fn change(
        &self,
        method: &'static str,
        path: &'static str,
        change: impl Fn(&mut Value) + Send + 'static,
    ) {
        self.hand(method, path, Hand::Change(Box::new(change)));
    }

    /// The hand goes away.
    pub(crate) fn honest(&self) {
        self.plan.lock().unwrap().clear();
    }

    /// What an owner wants who gives decks to three friends.
    pub(crate) fn wish() -> AccountWish {
        let holders = ["Ada", "Bert", "Cleo"].map(str::to_owned);
        AccountWish { name: read("main"), kind: AccountKind::TwoOfThree, holders, decks_dir: None }
    }

    pub(crate) async fn account(&mut self) -> NewAccount {
        self.device.create_account(&Self::wish(), now()).await.unwrap()
    }

    /// An account with one confirmed coin.
    pub(crate) async fn funded(&mut self, sat: u64) -> NewAccount {
        let account = self.account().await;
        let address = self.device.receive(&account.map.id(), false).await.unwrap().address;
        self.fund(&address, sat).await;
        account
    }

    pub(crate) fn pays(sat: u64) -> NewPayment {
        let to = Recipient { address: read(OUTSIDE), amount: Amount::from_sat(sat) };
        NewPayment { recipients: vec![to], fee_rate: Some(rate::sat_per_vb(2)), note: Some(read("rent")) }
    }

    /// Opens the device's profile again, as the next command would.
    pub(crate) async fn reopen(mut self) -> Self {
        let dir = self.dir.path().join("device");
        let Device { profile, pod } = self.device;
        drop(profile);
        self.device = Device { profile: Profile::open(&dir, &key()).await.unwrap(), pod };
        self
    }

    /// Another device with the words of this one, which lets it in: it has the keys and the maps, and has seen nothing.
    pub(crate) async fn restored(mut self) -> Self {
        let mut profile = Profile::create(&self.dir.path().join("restored"), &key(), owner()).unwrap();
        let request = profile.device_request().unwrap();
        let let_in = self.device.let_in(&request, None, Access::Full, now()).await.unwrap();
        profile.join(&let_in.grant, now()).unwrap();
        self.device.profile = profile;
        self
    }

    /// The profile's file as it is now; [`World::put_back`] brings it back, as a crash would.
    pub(crate) fn files(&self) -> PathBuf {
        self.dir.path().join("device")
    }
}

/// What opens every store of these stories, quickly.
pub(crate) fn key() -> Unlock {
    Unlock::key([7; 32])
}

/// A text that keeps the rule of its type.
pub(crate) fn read<T: Written>(text: &str) -> T {
    T::read(text).unwrap_or_else(|rule| panic!("{text}: {rule}"))
}

pub(crate) fn owner() -> NewProfile {
    NewProfile {
        name: "phone".into(),
        auth_seed: Some(AuthSeed::from_bytes(&[1; 32])),
        payment_seed: Some(Seed::from_entropy(&[3; 32]).unwrap()),
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The pod's real routes at a socket, with the hand between.
fn serve(socket: &Path, handle: Handle, caller: Caller, plan: Plan) -> impl Future<Output = ()> + use<> {
    let (_, onion) = watch::channel(OnionState::default());
    let routes = router(ApiState { handle, onion, started_at: now() });
    let routes: Router = routes.layer(Extension(caller)).layer(from_fn_with_state(plan, between));
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = UnixListener::from_std(listener).unwrap();
    async move { axum::serve(listener, routes).await.unwrap() }
}

async fn between(State(plan): State<Plan>, request: HttpRequest, next: Next) -> Response {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let fits = |wanted: &(&str, &str, Hand)| {
        let below = wanted.1.ends_with('/') && path.contains(wanted.1);
        wanted.0 == method && (below || path.ends_with(wanted.1))
    };
    let found = |plan: &Plan| -> Option<Result<Response, Todo>> {
        let mut plan = plan.lock().unwrap();
        plan.iter_mut().find(|wanted| fits(wanted)).map(|(_, _, hand)| match hand {
            Hand::Answer(bytes) => Ok(json(bytes.clone())),
            Hand::Refuse(status) => Ok(refusal(*status, "busy")),
            Hand::PosesAsAgent => {
                let mut response = refusal(503, "pod-unreachable");
                response.headers_mut().insert("autonomy-agent", "1".parse().unwrap());
                Ok(response)
            }
            Hand::Change(_) => Err(Todo::Change),
            Hand::Break(0) => Err(Todo::Nothing),
            Hand::Break(left) => {
                *left -= 1;
                Err(Todo::Break)
            }
        })
    };
    match found(&plan) {
        None | Some(Err(Todo::Nothing)) => next.run(request).await,
        Some(Ok(response)) => response,
        Some(Err(Todo::Break)) => {
            next.run(request).await;
            let broken = futures::stream::once(async { Err::<Vec<u8>, _>(std::io::Error::other("cut")) });
            Response::new(Body::from_stream(broken))
        }
        Some(Err(Todo::Change)) => {
            let (parts, body) = next.run(request).await.into_parts();
            let bytes = to_bytes(body, usize::MAX).await.unwrap();
            let mut value: Value = serde_json::from_slice(&bytes).unwrap();
            if parts.status.is_success() {
                let plan = plan.lock().unwrap();
                let changes = plan.iter().filter(|wanted| fits(wanted));
                for (_, _, hand) in changes {
                    if let Hand::Change(change) = hand {
                        change(&mut value);
                    }
                }
            }
            let mut response = json(serde_json::to_vec(&value).unwrap());
            *response.status_mut() = parts.status;
            response
        }
    }
}

enum Todo {
    Nothing,
    Change,
    Break,
}

fn json(bytes: Vec<u8>) -> Response {
    Response::builder().header("content-type", "application/json").body(Body::from(bytes)).unwrap()
}

fn refusal(status: u16, kind: &str) -> Response {
    let kind = format!("https://autonomy.invalid/problems/{kind}");
    let problem = serde_json::json!({ "type": kind, "title": "Busy", "status": status, "detail": "later" });
    let mut response = json(problem.to_string().into_bytes());
    *response.status_mut() = status.try_into().unwrap();
    response
}

// The chain.
impl World {
    async fn begin_chain(&mut self) {
        let genesis = genesis_block(Network::Regtest).block_hash();
        self.chain.push((0, genesis));
        let point = ChainPoint { height: 0, hash: genesis, time: now() - 600 };
        self.tell(ChainEvent::Anchor(vec![point])).await;
        self.tell(ChainEvent::Source(SourceState::Synced(0))).await;
        self.mine(vec![]).await;
    }

    async fn tell(&self, event: ChainEvent) {
        assert!(self.handle.deliver(Input::Chain(event)).await, "the pod has ended");
    }

    /// Somebody pays `sat` to an address, in the next block.
    pub(crate) async fn fund(&mut self, address: &Address<NetworkUnchecked>, sat: u64) {
        self.salt += 1;
        let script = address.assume_checked_ref().script_pubkey();
        let from = OutPoint { txid: Txid::from_byte_array([self.salt as u8; 32]), vout: self.salt };
        self.mine(vec![spend(from, script, sat)]).await;
    }

    pub(crate) async fn mine(&mut self, mut transactions: Vec<Transaction>) {
        self.salt += 1;
        let (height, parent) = *self.chain.last().unwrap();
        transactions.insert(0, coinbase(height + 1, self.salt, vec![]));
        let block = block_on(parent, now() as u32, self.salt, transactions);
        self.chain.push((height + 1, block.block_hash()));
        self.tell(ChainEvent::Block { block: Arc::new(block), height: height + 1 }).await;
        self.tell(ChainEvent::Source(SourceState::Synced(height + 1))).await;
    }
}
