//! What owners do with their devices and with who they are: let devices in and shut them out, draw new keys for the pod,
//! change names, part from somebody and meet them again.

use autonomy_messaging::Name;
use autonomy_messaging::messenger::{ContactId, ContactState};
use rand::Rng;

use crate::command::{Answer, Command};
use crate::config::{DAY, Fault, HOUR};
use crate::heap::Millis;
use crate::net::Host;
use crate::owner::Stage;
use crate::person::{DEVICES, FULL, LIMITED, MINIMAL};
use crate::pod::Input;
use crate::world::World;

/// What the cards of a pod say whose owner chose no name.
const NAMELESS: &str = "somebody";

/// Of so many looks, one ends in this being done.
const REVOKES: u32 = 100;
const PROBES: u32 = 24;
const RENEWS: u32 = 400;
const RENAMES: u32 = 100;
const PARTS: u32 = 250;

impl World {
    fn restless(&self) -> bool {
        self.troubled && self.config.by_itself && self.config.faults.has(Fault::Owners)
    }

    /// Everything of this module that an owner does at a look.
    #[expect(clippy::expect_used, reason = "short and visible")]
    pub(super) fn mind_devices(&mut self, pod: usize) {
        self.let_devices_in(pod);
        if self.bodies[pod].stale_keys || self.restless() && self.rng.gen_ratio(1, RENEWS) {
            self.renew_keys(pod);
        }
        if !self.restless() {
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
            self.part_from_somebody(pod);
        }
    }

    /// Whether the gate lets this device in.
    pub(super) fn is_admitted(&self, pod: usize, device: usize) -> bool {
        let body = &self.bodies[pod];
        body.admitted.contains(&body.pod.person().device_key(device))
    }

    /// Those that are the owner's and are not let in, unless they are lost; those that are lost, out.
    fn let_devices_in(&mut self, pod: usize) {
        let now = self.heap.now();
        self.bodies[pod].lost_devices.retain(|_, until| *until > now);
        for device in [LIMITED, MINIMAL] {
            if !self.bodies[pod].pod.is_running() {
                return;
            }
            let lost = self.bodies[pod].lost_devices.contains_key(&device);
            match (self.is_admitted(pod, device), lost) {
                (false, false) => {
                    let newcomer = self.bodies[pod].pod.person().newcomer(device);
                    let answer = self.ask(pod, Command::AddDevice(newcomer));
                    if matches!(answer, Some(Ok(_))) && !self.is_admitted(pod, device) {
                        self.breach(Some(pod), "it let a device in, and the gate does not".into());
                    }
                }
                (true, true) => self.revoke(pod, device),
                _ => {}
            }
        }
    }

    fn lose_a_device(&mut self, pod: usize) {
        let device = self.rng.gen_range(LIMITED..=MINIMAL);
        let until: Millis = self.heap.now() + self.rng.gen_range(HOUR..DAY);
        self.bodies[pod].lost_devices.insert(device, until);
        self.revoke(pod, device);
    }

    fn revoke(&mut self, pod: usize, device: usize) {
        let key = self.bodies[pod].pod.person().device_key(device);
        let answer = self.ask(pod, Command::RevokeDevice(key));
        if matches!(answer, Some(Ok(_))) {
            self.figures.revoked += 1;
            if self.is_admitted(pod, device) {
                self.breach(Some(pod), "it shut a device out, and the gate lets it in".into());
            }
        }
    }

    /// A device asks for what it may not have: also over a connection that was open before it was shut out.
    fn probe(&mut self, pod: usize) {
        let device = self.rng.gen_range(LIMITED..=MINIMAL);
        let command = match (self.is_admitted(pod, device), device) {
            (false, _) => Command::Status,
            (true, LIMITED) => Command::Invite { valid_for: 3_600 },
            (true, _) => Command::Contacts,
        };
        self.figures.probes += 1;
        let key = self.bodies[pod].pod.person().device_key(device);
        if let Some(Ok(answer)) = self.give(pod, Input::Ask { device: key, key: None, command }) {
            self.breach(Some(pod), format!("device {device} may not ask this, and is told {answer:?}"));
        }
    }

    /// The owner has new keys drawn and certifies them; the pod starts again with them, at another place.
    fn renew_keys(&mut self, pod: usize) {
        self.bodies[pod].stale_keys = true;
        if !matches!(self.ask(pod, Command::DrawKeys), Some(Ok(_))) {
            return;
        }
        let Some(bundle) = self.bodies[pod].pod.bundle() else { return };
        match self.give(pod, Input::Adopt(bundle)) {
            Some(Ok(_)) => {}
            Some(Err(why)) => return self.breach(Some(pod), format!("its owner's bundle is refused: {why}")),
            None => return,
        }
        self.figures.renewed += 1;
        let now = self.heap.now();
        let body = &mut self.bodies[pod];
        body.stale_keys = false;
        body.tell(now, "has new keys, life", body.life);
        self.fall(pod);
        self.rise(pod);
    }

    /// A pod may have another place after a start than before.
    pub(super) fn settle(&mut self, pod: usize) {
        let place = self.bodies[pod].pod.place();
        let here = Host::Pod(pod);
        if self.hosts.get(&place) != Some(&here) {
            self.hosts.retain(|_, host| *host != here);
            self.hosts.insert(place, here);
        }
    }

    /// Two agree to forget each other, and will meet again.
    fn part_from_somebody(&mut self, pod: usize) {
        let free = |pod: &usize| self.bodies[*pod].backup.is_none() && self.bodies[*pod].blocked.is_empty();
        let bonds = self.bonds_of[pod].iter().copied();
        let bonds = bonds.filter(|bond| {
            let bond = &self.bonds[*bond];
            bond.is_bound() && free(&bond.inviter) && free(&bond.invitee)
        });
        let bonds: Vec<usize> = bonds.collect();
        if bonds.is_empty() {
            return;
        }
        let bond = bonds[self.rng.gen_range(0..bonds.len())];
        self.figures.partings += 1;
        self.bonds[bond].stage = Stage::Parting { inviter: false, invitee: false };
    }

    /// One of two who part forgets the other. What they had said and the other does not have yet is withdrawn.
    pub(super) fn part(&mut self, bond: usize, pod: usize, state: Option<ContactState>) {
        let other = self.bonds[bond].other(pod);
        let contact: ContactId = self.bodies[other].pod.contact_id();
        let gone =
            state.is_none() || matches!(self.ask(pod, Command::Remove(contact)), Some(Ok(Answer::Done)));
        if !gone {
            return;
        }
        self.truth.withdraw((pod, other));
        self.forget_files_between(pod, other);
        self.bodies[pod].unread.remove(&contact);
        let bond = &mut self.bonds[bond];
        let Stage::Parting { inviter, invitee } = &mut bond.stage else { return };
        *inviter |= pod == bond.inviter;
        *invitee |= pod == bond.invitee;
        if *inviter && *invitee {
            bond.stage = Stage::Planned;
        }
    }

    /// In the end exactly the owner's devices may enter, and friends know each other by their present names.
    pub(super) fn check_devices(&mut self) {
        for pod in 0..self.bodies.len() {
            let shut_out = (0..DEVICES).find(|device| !self.is_admitted(pod, *device));
            if let Some(device) = shut_out {
                self.breach(Some(pod), format!("device {device} may not enter in the end"));
            }
            if self.bodies[pod].admitted.len() != DEVICES {
                self.breach(Some(pod), "somebody else's device may enter".into());
            }
        }
    }

    pub(super) fn check_names(&mut self) {
        for bond in 0..self.bonds.len() {
            let (inviter, invitee) = (self.bonds[bond].inviter, self.bonds[bond].invitee);
            self.check_name(inviter, invitee);
            self.check_name(invitee, inviter);
        }
    }

    fn check_name(&mut self, pod: usize, other: usize) {
        let contact = self.bodies[other].pod.contact_id();
        let Some(Ok(Answer::Profile { name })) = self.ask(other, Command::Profile) else { return };
        let Some(Ok(Answer::Contact(seen))) = self.ask(pod, Command::Contact(contact)) else { return };
        // The command that names a pod may fall with it: then its cards say what they say of everybody without a name.
        let name = Some(name.unwrap_or_else(|| NAMELESS.into()));
        if seen.card_name != name {
            let known = seen.card_name;
            self.breach(Some(pod), format!("pod {other} is called {name:?}, and known as {known:?}"));
        }
    }

    /// The device that writes: the one with full access or, where it is let in, the limited one.
    pub(super) fn writer(&mut self, pod: usize) -> usize {
        let limited = self.config.by_itself && self.is_admitted(pod, LIMITED) && self.rng.gen_bool(0.3);
        if limited { LIMITED } else { FULL }
    }
}
