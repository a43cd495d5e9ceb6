//! A token bucket: so many at once, so many a second after that.

use crate::time::Time;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens {
    burst: f64,
    a_second: f64,
    left: f64,
    at: Time,
}

impl Tokens {
    /// A full one.
    pub(crate) const fn new(burst: f64, a_second: f64) -> Self {
        Self { burst, a_second, left: burst, at: Time(0) }
    }

    /// Takes one; false when there is none.
    pub(crate) fn take(&mut self, now: Time) -> bool {
        let since = (now - std::mem::replace(&mut self.at, now)).as_secs_f64();
        self.left = (self.left + self.a_second * since).min(self.burst);
        let one = self.left >= 1.0;
        self.left -= f64::from(u8::from(one));
        one
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn a_burst_and_then_a_pace() {
        let mut tokens = Tokens::new(4.0, 2.0);
        let mut taken = |millis: u64| (0..100).filter(|_| tokens.take(Time(0) + Span::from_millis(millis))).count();
        assert_eq!([0, 400, 500, 2000, 60_000].map(&mut taken), [4, 0, 1, 3, 4]);
    }
}
