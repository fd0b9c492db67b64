//! What owners do with their devices and their identity: they add and revoke devices, draw new pod keys, change
//! names, remove a contact and invite them again.
//!
//! What must hold: a device can connect exactly while it is added; it is refused what its access level forbids, over
//! open connections too; a pod with new keys is found by its contacts; contacts know each other by their present
//! names. Access is compared after each change, the others in the end.

use autonomy_messaging::Name;
use autonomy_messaging::messenger::{ContactId, ContactState};
use rand::Rng;

use crate::command::{Answer, Command};
use crate::config::{DAY, Fault, HOUR};
use crate::heap::Millis;
use crate::net::Host;
use crate::pairs::Stage;
use crate::person::{DEVICES, FULL, LIMITED, MINIMAL};
use crate::pod::Input;
use crate::world::World;

/// The name on the cards of a pod whose owner chose none.
const NAMELESS: &str = "somebody";

/// An owner who uses a device does each of these in one of so many times.
const REVOKES: u32 = 100;
const PROBES: u32 = 24;
const RENEWS: u32 = 400;
const RENAMES: u32 = 100;
const PARTS: u32 = 250;

impl World {
    /// Whether owners do any of this.
    fn owners_act(&self) -> bool {
        self.faults_on && self.config.autonomous && self.config.faults.has(Fault::Owners)
    }

    /// Everything of this module that an owner may do at one time.
    #[expect(clippy::expect_used, reason = "short and visible")]
    pub(super) fn act_on_devices(&mut self, pod: usize) {
        self.let_devices_in(pod);
        if self.shells[pod].stale_keys || self.owners_act() && self.rng.gen_ratio(1, RENEWS) {
            self.renew_keys(pod);
        }
        if !self.owners_act() {
            return;
        }
        if self.rng.gen_ratio(1, REVOKES) {
            self.lose_a_device(pod);
        }
        if self.rng.gen_ratio(1, PROBES) {
            self.probe(pod);
        }
        if self.rng.gen_ratio(1, RENAMES) {
            let name = Name::new(&format!("pod {pod} since {}", self.heap.now() / HOUR));
            let name = name.expect("short and visible");
            self.ask(pod, Command::SetName(name));
        }
        if self.rng.gen_ratio(1, PARTS) {
            self.begin_parting(pod);
        }
    }

    /// Whether the pod's access control lets this device in.
    pub(super) fn is_admitted(&self, pod: usize, device: usize) -> bool {
        let shell = &self.shells[pod];
        shell.admitted.contains(&shell.pod.person().device_key(device))
    }

    /// Adds the owner's devices that may not connect, unless they are lost, and revokes lost ones that may.
    fn let_devices_in(&mut self, pod: usize) {
        let now = self.heap.now();
        self.shells[pod].lost_devices.retain(|_, until| *until > now);
        for device in [LIMITED, MINIMAL] {
            if !self.shells[pod].pod.is_running() {
                return;
            }
            let lost = self.shells[pod].lost_devices.contains_key(&device);
            match (self.is_admitted(pod, device), lost) {
                (false, false) => {
                    let new_device = self.shells[pod].pod.new_device(device);
                    let answer = self.ask(pod, Command::AddDevice(new_device));
                    if matches!(answer, Some(Ok(_))) && !self.is_admitted(pod, device) {
                        self.breach(Some(pod), "it let a device in, and the gate does not".into());
                    }
                }
                (true, true) => self.revoke(pod, device),
                _ => {}
            }
        }
    }

    /// A device is lost for some hours. The first one never is: with it the owner does everything else.
    fn lose_a_device(&mut self, pod: usize) {
        let device = self.rng.gen_range(LIMITED..=MINIMAL);
        let until: Millis = self.heap.now() + self.rng.gen_range(HOUR..DAY);
        self.shells[pod].lost_devices.insert(device, until);
        self.revoke(pod, device);
    }

    /// Revokes a device. From the answer on it must not be let in.
    fn revoke(&mut self, pod: usize, device: usize) {
        let key = self.shells[pod].pod.person().device_key(device);
        let answer = self.ask(pod, Command::RevokeDevice(key));
        if matches!(answer, Some(Ok(_))) {
            self.figures.revoked += 1;
            if self.is_admitted(pod, device) {
                self.breach(Some(pod), "it shut a device out, and the gate lets it in".into());
            }
        }
    }

    /// A device asks for more than its access level allows, or over a connection that was open when it was revoked.
    /// The pod has to refuse: the connection itself proves nothing.
    fn probe(&mut self, pod: usize) {
        let device = self.rng.gen_range(LIMITED..=MINIMAL);
        let command = match (self.is_admitted(pod, device), device) {
            (false, _) => Command::Status,
            (true, LIMITED) => Command::Invite { valid_for: 3_600 },
            (true, _) => Command::Contacts,
        };
        self.figures.probes += 1;
        let key = self.shells[pod].pod.person().device_key(device);
        if let Some(Ok(answer)) = self.give(pod, Input::Ask { device: key, key: None, command }) {
            self.breach(Some(pod), format!("device {device} may not ask this, and gets {answer:?}"));
        }
    }

    /// The pod draws new keys, its owner certifies them, and it starts again with them, at another place. A crash in
    /// between leaves keys that the owner has not certified, or a certificate that the pod has not adopted: the next
    /// time begins anew.
    fn renew_keys(&mut self, pod: usize) {
        self.shells[pod].stale_keys = true;
        if !matches!(self.ask(pod, Command::DrawKeys), Some(Ok(_))) {
            return;
        }
        let Some(bundle) = self.shells[pod].pod.bundle() else { return };
        match self.give(pod, Input::Adopt(bundle)) {
            Some(Ok(_)) => {}
            Some(Err(why)) => return self.breach(Some(pod), format!("its owner's bundle is refused: {why}")),
            None => return,
        }
        self.figures.renewed += 1;
        let now = self.heap.now();
        let shell = &mut self.shells[pod];
        shell.stale_keys = false;
        shell.log_event(now, "has new keys, launch", shell.launch);
        self.stop(pod);
        self.start(pod);
    }

    /// Notes where a pod is reached: at another place after a start with new keys, and when its peer service moves; nowhere
    /// where it is reached through relays only.
    pub(super) fn listen(&mut self, pod: usize, onions: &[[u8; 32]]) {
        let here = Host::Pod(pod);
        let places = self.shells[pod].pod.listen(onions);
        self.hosts.retain(|_, host| *host != here);
        self.hosts.extend(places.into_iter().map(|place| (place, here)));
    }

    /// Two contacts agree to remove each other; afterwards they become contacts again. Not while one of them may be
    /// restored from a backup or blocks anybody.
    fn begin_parting(&mut self, pod: usize) {
        let free = |pod: &usize| self.shells[*pod].backup.is_none() && self.shells[*pod].blocked.is_empty();
        let pairs = self.pairs_of[pod].iter().copied();
        let pairs = pairs.filter(|pair| {
            let pair = &self.pairs[*pair];
            pair.is_connected() && free(&pair.inviter) && free(&pair.invitee)
        });
        let pairs: Vec<usize> = pairs.collect();
        if pairs.is_empty() {
            return;
        }
        let pair = pairs[self.rng.gen_range(0..pairs.len())];
        self.figures.partings += 1;
        self.pairs[pair].stage = Stage::Parting { inviter: false, invitee: false };
    }

    /// One of two who part removes the other. What they had sent and the other does not have yet is withdrawn:
    /// nothing more is promised about it. Once both have done so they are strangers, and the pair begins anew.
    pub(super) fn part(&mut self, pair: usize, pod: usize, state: Option<ContactState>) {
        let other = self.pairs[pair].other(pod);
        let contact: ContactId = self.shells[other].pod.contact_id();
        let gone =
            state.is_none() || matches!(self.ask(pod, Command::Remove(contact)), Some(Ok(Answer::Done)));
        if !gone {
            return;
        }
        self.oracle.withdraw((pod, other));
        self.forget_files_between(pod, other);
        self.shells[pod].unread.remove(&contact);
        let pair = &mut self.pairs[pair];
        let Stage::Parting { inviter, invitee } = &mut pair.stage else { return };
        *inviter |= pod == pair.inviter;
        *invitee |= pod == pair.invitee;
        if *inviter && *invitee {
            pair.stage = Stage::Planned;
        }
    }

    /// In the end exactly the owner's devices may connect.
    pub(super) fn check_devices(&mut self) {
        for pod in 0..self.shells.len() {
            let shut_out = (0..DEVICES).find(|device| !self.is_admitted(pod, *device));
            if let Some(device) = shut_out {
                self.breach(Some(pod), format!("device {device} may not enter in the end"));
            }
            if self.shells[pod].admitted.len() != DEVICES {
                self.breach(Some(pod), "somebody else's device may enter".into());
            }
        }
    }

    /// In the end contacts know each other by their present names.
    pub(super) fn check_names(&mut self) {
        for pair in 0..self.pairs.len() {
            let (inviter, invitee) = (self.pairs[pair].inviter, self.pairs[pair].invitee);
            self.check_name(inviter, invitee);
            self.check_name(invitee, inviter);
        }
    }

    /// Compares the name of a pod with the card that a contact has of it.
    fn check_name(&mut self, pod: usize, other: usize) {
        let contact = self.shells[other].pod.contact_id();
        let Some(Ok(Answer::Profile { name })) = self.ask(other, Command::Profile) else { return };
        let Some(Ok(Answer::Contact(seen))) = self.ask(pod, Command::Contact(contact)) else { return };
        // A crash may cut off the command that names a pod: then its cards have the name of everybody without one.
        let name = Some(name.unwrap_or_else(|| NAMELESS.into()));
        if seen.card_name != name {
            let known = seen.card_name;
            self.breach(Some(pod), format!("pod {other} is called {name:?}, and known as {known:?}"));
        }
    }

    /// The device that sends the next message: the first one, or sometimes the limited one, where it is let in.
    pub(super) fn writer(&mut self, pod: usize) -> usize {
        let limited = self.config.autonomous && self.is_admitted(pod, LIMITED) && self.rng.gen_bool(0.3);
        if limited { LIMITED } else { FULL }
    }
}
