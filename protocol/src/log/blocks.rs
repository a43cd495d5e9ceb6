//! A queue in small blocks, each of which is given back as soon as it is drained.
//!
//! The log retains up to a hundred thousand deltas and lets them go in the order in which they came. One ring for that is a block of megabytes
//! that doubles when it is full, is copied then, never shrinks as long as anything is in it, and holes in the heap stay behind it.
//!
//! Invariant: no block is empty, and all but the first and the last are full. So the place of an element is known without a search.

use std::collections::VecDeque;

/// Elements of a block. guess: 4 KiB of what the log keeps.
const BLOCK: usize = 64;
/// Blocks that the list of them has room for in any case.
const BLOCKS_MIN: usize = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Blocks<T> {
    blocks: VecDeque<VecDeque<T>>,
    len: usize,
}

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self { blocks: VecDeque::new(), len: 0 }
    }
}

impl<T> Blocks<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.blocks.front()?.front()
    }

    pub(super) fn back(&self) -> Option<&T> {
        self.blocks.back()?.back()
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        let first = self.blocks.front()?;
        let Some(beyond) = index.checked_sub(first.len()) else { return first.get(index) };
        self.blocks.get(1 + beyond / BLOCK)?.get(beyond % BLOCK)
    }

    /// All from that place on.
    pub(super) fn from(&self, index: usize) -> impl Iterator<Item = &T> + '_ {
        (index..self.len).map_while(|index| self.get(index))
    }

    /// All, the last one first.
    pub(super) fn backwards(&self) -> impl Iterator<Item = &T> + '_ {
        self.blocks.iter().rev().flat_map(|block| block.iter().rev())
    }

    pub(super) fn push_back(&mut self, element: T) {
        match self.blocks.back_mut() {
            Some(last) if last.len() < BLOCK => last.push_back(element),
            _ => self.blocks.push_back(VecDeque::from([element])),
        }
        self.len += 1;
    }

    pub(super) fn push_front(&mut self, element: T) {
        match self.blocks.front_mut() {
            Some(first) if first.len() < BLOCK => first.push_front(element),
            _ => self.blocks.push_front(VecDeque::from([element])),
        }
        self.len += 1;
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let first = self.blocks.front_mut()?;
        let element = first.pop_front();
        if first.is_empty() {
            self.blocks.pop_front();
            self.shrink();
        }
        self.len -= usize::from(element.is_some());
        element
    }

    pub(super) fn pop_back(&mut self) -> Option<T> {
        let last = self.blocks.back_mut()?;
        let element = last.pop_back();
        if last.is_empty() {
            self.blocks.pop_back();
            self.shrink();
        }
        self.len -= usize::from(element.is_some());
        element
    }

    fn shrink(&mut self) {
        let blocks = self.blocks.len();
        if self.blocks.capacity() > 4 * blocks + BLOCKS_MIN {
            self.blocks.shrink_to(2 * blocks);
        }
    }

    /// What it takes of the heap, beside what its elements hold.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        let blocks = self.blocks.iter().map(|block| block.capacity() * size_of::<T>()).sum::<usize>();
        blocks + self.blocks.capacity() * size_of::<VecDeque<T>>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_queue_with_two_ends(steps in prop::collection::vec((0u8..4, 1usize..150), 0..24)) {
            let (mut blocks, mut model, mut next) = (Blocks::default(), VecDeque::new(), 0);
            for (kind, times) in steps {
                for _ in 0..times {
                    next += 1;
                    match kind {
                        0 => { blocks.push_back(next); model.push_back(next); }
                        1 => { blocks.push_front(next); model.push_front(next); }
                        2 => prop_assert_eq!(blocks.pop_front(), model.pop_front()),
                        _ => prop_assert_eq!(blocks.pop_back(), model.pop_back()),
                    }
                }
                prop_assert_eq!((blocks.len(), blocks.front(), blocks.back()), (model.len(), model.front(), model.back()));
                prop_assert!(blocks.from(0).eq(model.iter()) && blocks.backwards().eq(model.iter().rev()));
                prop_assert_eq!(blocks.get(model.len()), None);
                prop_assert!(blocks.blocks.iter().all(|block| !block.is_empty() && block.capacity() <= BLOCK));
            }
        }
    }

    #[test]
    fn what_is_drained_is_given_back_while_something_is_left() {
        let mut blocks = Blocks::default();
        (0..100_000u64).for_each(|i| blocks.push_back(i));
        assert!((0..99_990).all(|_| blocks.pop_front().is_some()));
        assert_eq!((blocks.len(), blocks.front()), (10, Some(&99_990)));
        assert!(blocks.room() < 4096, "{}", blocks.room());
    }
}
