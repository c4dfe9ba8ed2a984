//! Choices that a seed reproduces.

use uuid::Uuid;

/// `SplitMix64`: small, fast, and the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    /// Seeded by `KEYWRIGHT_SEED`, or else by chance; says how to see the same choices again.
    #[expect(clippy::print_stderr, reason = "shown by the test runner when the test fails")]
    pub(crate) fn for_test(name: &str) -> Self {
        let given = std::env::var_os("KEYWRIGHT_SEED").map(|seed| {
            let seed = seed.into_string().ok().and_then(|seed| seed.parse().ok());
            seed.expect("KEYWRIGHT_SEED is a number")
        });
        let chance = || u64::from_le_bytes(*Uuid::new_v4().as_bytes().first_chunk().unwrap());
        let seed = given.unwrap_or_else(chance);
        eprintln!("KEYWRIGHT_SEED={seed} makes the choices of `{name}` again");
        Self(seed)
    }

    /// With this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another source that this one determines, for a task of its own.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From zero to `end`, which is left out.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// True `percent` times of a hundred.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A version 4 UUID.
    pub(crate) fn uuid(&mut self) -> Uuid {
        let bits = u128::from(self.next()) << 64 | u128::from(self.next());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}
