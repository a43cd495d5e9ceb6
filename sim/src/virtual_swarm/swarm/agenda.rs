//! What is to happen, in order of time, and of entry where times are equal. Entries lie in slots that are used again, so what
//! one costs does not grow with how many there are, but for the heap of their times.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use protocol::time::Time;

use super::Happening;

/// To whom, in which of its lives, what.
pub(super) type Entry = (u32, u64, Happening);

#[derive(Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<(Time, u64, u32)>>,
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
    order: u64,
}

impl Agenda {
    pub(super) fn push(&mut self, at: Time, entry: Entry) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        self.slots[slot as usize] = Some(entry);
        self.order += 1;
        self.heap.push(Reverse((at, self.order, slot)));
    }

    pub(super) fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        let Reverse((.., slot)) = self.heap.pop()?;
        self.free.push(slot);
        self.slots[slot as usize].take()
    }
}
