//! The node alone: what each step of a message takes, and writes.

use std::{collections::HashSet, time::Duration};

use crate::mind::{Cost, Mind, befriend, carry};

/// Messages that are counted.
const MESSAGES: u32 = 1_000;

pub(crate) fn measure() {
    let (mut alice, mut bob) = (Mind::adopted(1), Mind::adopted(2));
    let nobody = HashSet::new();
    befriend(&mut alice, &mut bob, &nobody);
    let to = alice.only_contact();
    for len in [1_024, 11_000] {
        let text = "x".repeat(len);
        let names = ["sent", "shown", "accepted", "receipt sealed", "receipt opened", "receipt accepted"];
        let mut sums = names.map(|name| (name, Sum::default()));
        for _ in 0..MESSAGES {
            let (reply, said) = alice.say(to, &text);
            reply.unwrap();
            let there = carry(&mut alice, &mut bob, &nobody).unwrap();
            let sealed = bob.wait(2);
            let back = carry(&mut bob, &mut alice, &nobody).unwrap();
            let costs = [said, there.asked, there.answered, sealed, back.asked, back.answered];
            sums.iter_mut().zip(costs).for_each(|((_, sum), cost)| sum.add(cost));
            alice.wait(2);
        }
        let mut all = Sum::default();
        for (name, sum) in sums {
            sum.print(&format!("message of {len} B, {name}"));
            all.time += sum.time;
            all.bytes += sum.bytes;
        }
        all.print(&format!("message of {len} B, all steps of both pods"));
    }
}

#[derive(Default)]
struct Sum {
    time: Duration,
    bytes: usize,
}

impl Sum {
    fn add(&mut self, cost: Cost) {
        self.time += cost.time;
        self.bytes += cost.bytes;
    }

    fn print(&self, name: &str) {
        println!("{name}: {:.0?}, {} B written", self.time / MESSAGES, self.bytes / MESSAGES as usize);
    }
}
