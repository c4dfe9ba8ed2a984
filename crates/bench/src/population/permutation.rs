//! A scattered order of many numbers that takes no memory.

/// Rounds of the network; fewer leave neighbours near each other.
const ROUNDS: usize = 4;

/// All numbers below a length, each once, in an order that looks random.
///
/// A Feistel network permutes the numbers of a power of four that is at least the length; what it
/// takes out of the range is permuted again until it is back inside. A shuffled list would take
/// four bytes a number, and shuffling two million of them would stop the load for a while.
#[derive(Clone, Debug)]
pub struct Permutation {
    length: u64,
    half_bits: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// An order of the numbers below `length`, a new one each time.
    pub fn new(length: u64, random: &mut fastrand::Rng) -> Self {
        let bits = u64::BITS - length.saturating_sub(1).leading_zeros();
        let half_bits = bits.div_ceil(2).max(1);
        Self { length, half_bits, keys: std::array::from_fn(|_| random.u64(..)) }
    }

    /// How many numbers there are.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The number at a place below the length.
    pub fn at(&self, place: u64) -> u64 {
        debug_assert!(place < self.length, "no such place");
        let mut number = self.scatter(place);
        while number >= self.length {
            number = self.scatter(number);
        }
        number
    }

    fn scatter(&self, number: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (number >> self.half_bits, number & mask);
        for key in self.keys {
            // The upper half of a product depends on all bits of its factors.
            let mixed = (right ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (left, right) = (right, left ^ ((mixed ^ (mixed >> 32)) & mask));
        }
        left << self.half_bits | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_once() {
        let mut random = fastrand::Rng::with_seed(7);
        for length in [1, 2, 3, 5, 64, 1_000, 4_096, 4_097] {
            let order = Permutation::new(length, &mut random);
            let mut seen: Vec<u64> = (0..length).map(|place| order.at(place)).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..length), "{length}");
        }
    }

    #[test]
    fn neighbours_are_far_apart_and_orders_differ() {
        let mut random = fastrand::Rng::with_seed(7);
        let (length, first) = (100_000, Permutation::new(100_000, &mut random));
        let near = (1..length).filter(|&at| first.at(at).abs_diff(first.at(at - 1)) < 100).count();
        // Of two random numbers, one pair in five hundred is that close.
        assert!(near < 400, "{near}");
        let second = Permutation::new(length, &mut random);
        let same = (0..length).filter(|&at| first.at(at) == second.at(at)).count();
        assert!(same < 20, "{same}");
    }
}
