//! A list that never grows too long and still tells of everything, coarser the longer it is.

/// A list of at most `MAX` items that always begins with the first and ends with the last one.
#[derive(Clone, Debug)]
pub struct Thinned<T, const MAX: usize> {
    kept: Vec<T>,
    /// The newest, where it is not among those kept.
    last: Option<T>,
    /// One of so many is kept.
    stride: u64,
    seen: u64,
}

impl<T, const MAX: usize> Default for Thinned<T, MAX> {
    fn default() -> Self {
        Self { kept: Vec::new(), last: None, stride: 1, seen: 0 }
    }
}

impl<T: Copy, const MAX: usize> Thinned<T, MAX> {
    /// Adds an item.
    pub fn push(&mut self, item: T) {
        let keep = self.seen.is_multiple_of(self.stride);
        self.seen += 1;
        self.last = Some(item);
        if !keep {
            return;
        }
        self.last = None;
        self.kept.push(item);
        if self.kept.len() >= MAX {
            let mut place = 0usize;
            self.kept.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.stride *= 2;
            self.last = place.is_multiple_of(2).then_some(item);
        }
    }

    /// What is kept, in order.
    #[must_use]
    pub fn all(&self) -> Vec<T> {
        self.kept.iter().copied().chain(self.last).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_keeps_its_beginning_and_its_end() {
        let mut list: Thinned<u64, 16> = Thinned::default();
        for i in 0..10_000 {
            list.push(i);
            let all = list.all();
            assert!(all.len() <= 17, "{} items", all.len());
            assert_eq!((all.first(), all.last()), (Some(&0), Some(&i)));
            assert!(all.is_sorted());
        }
        let gaps: Vec<u64> = list.kept.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| *gap == list.stride), "evenly: {gaps:?}");
    }
}
