//! Random numbers that a seed repeats.

/// A generator of random numbers. The same seed gives the same numbers on every machine.
///
/// The algorithm is SplitMix64 (Steele, Lea and Flood, 2014). It is not for secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator with a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator that is different each time, from the time of the computer.
    pub fn from_time() -> Self {
        let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self::new(elapsed.map_or(0, |duration| duration.as_nanos() as u64))
    }

    /// Another generator, whose numbers are independent of those that this one gives next.
    pub fn fork(&mut self) -> Self {
        Self::new(self.bits())
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number from 0 to 1, without 1.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number from `low` to `high`, evenly distributed.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A number from `low` to `high`, both positive, evenly distributed over the octaves between them.
    pub fn exponential(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.unit())
    }

    /// A whole number from 0 to `count - 1`; 0 if `count` is 0.
    pub fn below(&mut self, count: usize) -> usize {
        (self.unit() * count as f64) as usize
    }

    /// True with a probability from 0 to 1.
    pub fn coin(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of the items; `None` if there are none.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// Puts the items into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_repeats_its_numbers_and_forks_differ() {
        let (mut one, mut same) = (Random::new(7), Random::new(7));
        let numbers: Vec<u64> = (0..4).map(|_| one.bits()).collect();
        assert_eq!(numbers, (0..4).map(|_| same.bits()).collect::<Vec<_>>());
        assert_ne!(one.fork().bits(), one.fork().bits());
        // The first number of SplitMix64 for the seed 0, from its authors.
        assert_eq!(Random::new(0).bits(), 0xE220_A839_7B1D_CDAF);
    }

    #[test]
    fn numbers_are_within_their_ranges_and_spread() {
        let mut random = Random::new(1);
        let mut counts = [0; 4];
        for _ in 0..4_000 {
            assert!((-1.0..3.0).contains(&random.uniform(-1.0, 3.0)));
            assert!((20.0..=200.0).contains(&random.exponential(20.0, 200.0)));
            counts[random.below(4)] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
        assert_eq!(random.below(0), 0);
        let mut items = [1, 2, 3, 4, 5, 6, 7, 8];
        random.shuffle(&mut items);
        assert_ne!(items, [1, 2, 3, 4, 5, 6, 7, 8]);
        items.sort_unstable();
        assert_eq!(items, [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
