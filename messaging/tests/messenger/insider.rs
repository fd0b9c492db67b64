//! Somebody who has an invite and every right key, and says what no honest pod would.

use std::{cell::RefCell, rc::Rc};

use autonomy_messaging::{
    AuthSeed, Certificate, CertificateRole, Name, PublicKey, RootKey, RootPublic, SigningKey, Validity,
    Window,
    card::{Card, CardPlace, UnverifiedCard},
    envelope::{Envelope, Hello, Ratchet, Reset},
    frame::{DepositId, Frame, QueueKey},
    invite::Invite,
    messenger::{Command, ContactId},
    packet::{Acks, Item, Numbering, Packet, Part},
    payload::{Payload, Text},
    place::{Capability, QueueAddress, QueueId},
    ratchet::{OwnKeyPackage, PeerKeyPackage, Psk, Session},
    wire::{Request, Response},
};
use rand::rngs::StdRng;
use zeroize::Zeroizing;

use super::world::{START, World, place, unreached};
use super::{ALICE, invite};

/// A pod made by hand. Alice is always the other.
pub(crate) struct Insider {
    pub(crate) root: RootKey,
    pub(crate) pod_key: SigningKey,
    pub(crate) own: OwnKeyPackage,
    pub(crate) address: QueueAddress,
    pub(crate) session: Session,
    pub(crate) psk: Psk,
    pub(crate) alice: Option<Card>,
    seal_in: QueueKey,
    seal_out: QueueKey,
    /// The next part's number.
    pub(crate) next: u64,
    alice_root: RootPublic,
    /// The newest group of Alice's that was joined.
    followed: u64,
    /// What came from Alice, and in which run of her numbers.
    arrived: Window,
    heard: Numbering,
    inbox: Rc<RefCell<Vec<Frame>>>,
}

/// Ten years from the beginning of the stories.
pub(crate) fn long() -> Validity {
    Validity::lasting(START - 10, 10 * 365 * 86_400)
}

/// A key package with a card that is as it should be, for somebody to spoil.
pub(crate) struct Papers {
    pub(crate) root: RootKey,
    pub(crate) pod_key: SigningKey,
    pub(crate) own: OwnKeyPackage,
    pub(crate) address: QueueAddress,
}

impl Papers {
    pub(crate) fn new(n: u8, rng: &mut StdRng) -> Self {
        let root = AuthSeed::from_bytes(&[n; 32]).root_key();
        let own = OwnKeyPackage::generate(rng, root.public().as_bytes()).unwrap();
        let address = QueueAddress {
            place: place(n),
            queue: QueueId::generate(rng),
            deposit: Capability::generate(rng),
        };
        Self { root, pod_key: SigningKey::from_bytes(&[n; 32]), own, address }
    }

    pub(crate) fn certificate(&self, role: CertificateRole, epoch: u64, validity: Validity) -> Certificate {
        self.root.certify(role, &PublicKey::from(&self.pod_key), epoch, validity)
    }

    pub(crate) fn card(&self, version: u32, certificate: Certificate) -> Vec<u8> {
        card(version, certificate, self.own.leaf_key(), &self.address, &self.own, &self.pod_key)
    }

    /// A group with whoever made the invite, and the first flight into it.
    pub(crate) fn hello(
        &self,
        invite: &Invite,
        package: &[u8],
        psk: &Psk,
        card: &[u8],
        rng: &mut StdRng,
    ) -> (Session, Frame) {
        let peer = PeerKeyPackage::parse(package).unwrap();
        let (mut session, welcome) = Session::create(rng, &self.own, &peer, psk).unwrap();
        let message = session.seal(rng, card, false).unwrap().message;
        let hello = Envelope::Hello(Hello { welcome, message }).to_bytes().unwrap();
        (session, frame(invite.address(), &invite.hello_key(), &hello, rng))
    }
}

pub(crate) fn card(
    version: u32,
    certificate: Certificate,
    leaf: PublicKey,
    address: &QueueAddress,
    own: &OwnKeyPackage,
    pod_key: &SigningKey,
) -> Vec<u8> {
    let places = vec![CardPlace { own: true, address: address.clone() }];
    let name = Name::new("Mallory").unwrap();
    let card = Card::new(version, name, certificate, leaf, places, own.public().to_vec()).unwrap();
    card.sign(pod_key).unwrap().into_bytes()
}

pub(crate) fn frame(to: &QueueAddress, key: &QueueKey, content: &[u8], rng: &mut StdRng) -> Frame {
    let blob = key.seal(&to.queue, content, rng).unwrap();
    Frame { deposit: DepositId::generate(rng), queue: to.queue, capability: to.deposit.clone(), blob }
}

/// The key package that waits for whoever has the invite.
pub(crate) fn redeem(world: &mut World, invite: &Invite) -> Vec<u8> {
    let QueueAddress { place, queue, deposit } = invite.address().clone();
    let Ok(Response::Notice(notice)) = world.ask(place, Request::Redeem { queue, deposit }) else { panic!() };
    invite.open_notice(&notice).unwrap()
}

impl Insider {
    /// A contact of Alice's, confirmed and with her card.
    pub(crate) fn new(world: &mut World, n: u8) -> Self {
        let invite = invite(world, ALICE);
        let package = redeem(world, &invite);
        let papers = Papers::new(n, &mut world.rng);
        let card = papers.card(1, papers.certificate(CertificateRole::Pod, 5, long()));
        let (session, hello) = papers.hello(&invite, &package, &invite.mls_psk(), &card, &mut world.rng);
        assert_eq!(world.ask(invite.address().place, Request::Deposit(hello)), Ok(Response::Done));
        let inbox = Rc::new(RefCell::new(Vec::new()));
        let keep = Rc::clone(&inbox);
        world.stranger(
            papers.address.place,
            Box::new(move |request| match request {
                Request::Deposit(frame) => {
                    keep.borrow_mut().push(frame);
                    Ok(Response::Done)
                }
                _ => Err(unreached()),
            }),
        );
        let Papers { root, pod_key, own, address } = papers;
        let mut it = Self {
            seal_in: QueueKey::from_bytes(*session.export("seal by joiner")),
            seal_out: QueueKey::from_bytes(*session.export("seal by creator")),
            psk: Psk::from_bytes(&session.export("reset")),
            root,
            pod_key,
            own,
            address,
            session,
            alice: None,
            alice_root: world.pods[ALICE].own.root,
            followed: 0,
            next: 0,
            arrived: Window::new(),
            heard: Numbering::default(),
            inbox,
        };
        let id = it.id();
        world.command(ALICE, Command::Confirm(id));
        world.pass(5);
        it.collect();
        assert!(it.alice.is_some(), "Alice has sent her card");
        it.say(world, &[]);
        world.pass(5);
        it
    }

    pub(crate) fn id(&self) -> ContactId {
        ContactId::of(&self.root.public())
    }

    pub(crate) fn certificate(&self, role: CertificateRole, epoch: u64, validity: Validity) -> Certificate {
        self.root.certify(role, &PublicKey::from(&self.pod_key), epoch, validity)
    }

    /// Joins a group that Alice made. Gives the first message in it; none where it is known.
    fn follow(&mut self, reset: &Reset) -> Option<Zeroizing<Vec<u8>>> {
        let reset = reset.verify(&self.alice_root, &self.root.public(), START).unwrap();
        if reset.generation <= self.followed {
            return None;
        }
        self.followed = reset.generation;
        let session = Session::join(&self.own, &reset.welcome, &self.psk).unwrap();
        self.move_to(session);
        Some(self.session.open(None, &reset.message).unwrap())
    }

    /// Takes what came from Alice; gives the texts in it.
    pub(crate) fn collect(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        for frame in self.inbox.take() {
            let content = self.seal_in.open(&frame.queue, &frame.blob).unwrap();
            let plain = match Envelope::parse(&content) {
                Ok(Envelope::Ratchet(Ratchet { commit, message })) => {
                    self.session.open(commit.as_deref(), &message)
                }
                Ok(Envelope::Reset(reset)) => match self.follow(&reset) {
                    Some(plain) => Ok(plain),
                    None => continue,
                },
                _ => continue,
            };
            let Ok(plain) = plain else { continue };
            let packet = Packet::parse(&plain).unwrap();
            self.heard = packet.numbering;
            for item in packet.items {
                let Item::Part(part) = item else { panic!() };
                self.arrived.insert(part.seq);
                match Payload::parse(&part.bytes).unwrap() {
                    Payload::Card(card) => {
                        let card = UnverifiedCard::parse(&card).unwrap();
                        let root = card.claimed_root();
                        self.alice = Some(card.verify(&root, START).unwrap());
                    }
                    Payload::Text(text) => texts.push(text.as_str().to_owned()),
                    other => panic!("{other:?}"),
                }
            }
        }
        texts
    }

    pub(crate) fn acks(&self) -> Acks {
        Acks {
            numbering: self.heard,
            messages: self.arrived,
            transfers: Vec::new(),
            deposited: vec![0],
            card: self.alice.as_ref().map_or(0, Card::version),
        }
    }

    /// A payload as the next part.
    pub(crate) fn part(&mut self, bytes: Vec<u8>) -> Item {
        let seq = self.next;
        self.next += 1;
        Item::Part(Part { seq, first: true, last: true, origin: None, bytes })
    }

    pub(crate) fn text(&mut self, text: &str) -> Item {
        let payload = Payload::Text(Text::new(text).unwrap());
        self.part(payload.to_bytes().to_vec())
    }

    /// Says this, with honest receipts.
    pub(crate) fn say(&mut self, world: &mut World, items: &[Item]) {
        let acks = self.acks();
        self.say_with(world, acks, items);
    }

    pub(crate) fn say_with(&mut self, world: &mut World, acks: Acks, items: &[Item]) {
        let packet = self.packet(acks, items.to_vec()).to_bytes().unwrap();
        self.say_raw(world, &packet);
    }

    /// In the run of numbers of the session.
    fn packet(&self, acks: Acks, items: Vec<Item>) -> Packet {
        let numbering = Numbering { since: 1, id: self.session.incarnation().0 };
        Packet { numbering, acknowledged: 0, acks, items }
    }

    pub(crate) fn say_raw(&mut self, world: &mut World, packet: &[u8]) {
        let sealed = self.session.seal(&mut world.rng, packet, true).unwrap();
        let envelope = Envelope::Ratchet(Ratchet { commit: sealed.commit, message: sealed.message });
        let frame = self.sealed(world, &envelope.to_bytes().unwrap());
        self.deposit(world, frame);
    }

    pub(crate) fn sealed(&self, world: &mut World, envelope: &[u8]) -> Frame {
        frame(&self.alice.as_ref().unwrap().places()[0].address, &self.seal_out, envelope, &mut world.rng)
    }

    pub(crate) fn deposit(&self, world: &mut World, frame: Frame) {
        let place = world.pods[ALICE].own.place;
        assert_eq!(world.ask(place, Request::Deposit(frame)), Ok(Response::Done));
    }

    /// A new group with Alice.
    pub(crate) fn reset(
        &self,
        world: &mut World,
        to: &RootPublic,
        generation: u64,
        certificate: &Certificate,
    ) -> (Session, Frame) {
        let peer = PeerKeyPackage::parse(self.alice.as_ref().unwrap().key_package()).unwrap();
        let (mut session, welcome) = Session::create(&mut world.rng, &self.own, &peer, &self.psk).unwrap();
        let mut acks = self.acks();
        (acks.numbering, acks.messages) = (Numbering::default(), Window::new());
        let numbering = Numbering { since: 1, id: session.incarnation().0 };
        let packet = Packet { numbering, acknowledged: 0, acks, items: Vec::new() }.to_bytes().unwrap();
        let message = session.seal(&mut world.rng, &packet, false).unwrap().message;
        let reset = Reset::sign(&self.pod_key, certificate, to, generation, welcome, message);
        let frame = self.sealed(world, &Envelope::Reset(Box::new(reset)).to_bytes().unwrap());
        (session, frame)
    }

    /// Goes on in another group.
    pub(crate) fn move_to(&mut self, session: Session) {
        (self.session, self.next, self.arrived) = (session, 0, Window::new());
        self.heard = Numbering::default();
    }

    /// Nothing of all that keeps the two from talking.
    pub(crate) fn assert_talks(&mut self, world: &mut World) {
        let id = self.id();
        let word = format!("after all that, {}", self.next);
        let text = self.text(&word);
        self.say(world, &[text]);
        world.send(ALICE, id, "yes?");
        world.pass(60);
        assert_eq!(world.texts(ALICE, id).last(), Some(&word));
        assert!(self.collect().contains(&"yes?".to_owned()));
        self.say(world, &[]);
        world.pass(5);
        let status = world.status(ALICE);
        assert_eq!(status.queued, 0, "her word is known to have arrived");
    }
}
