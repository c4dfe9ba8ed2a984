//! When requests of an open loop are due, and which ones: decided without regard to responses.

use std::time::Duration;

/// One request that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Since the start of the turn.
    pub(super) at: Duration,
    /// Place of the operation among the kinds.
    pub(super) operation: usize,
}

/// Arrivals as of very many people who know nothing of each other: a Poisson process.
///
/// Operations are dealt from a shuffled deck that has each as often as its weight says, so shares
/// are exact over every deck and the order is random.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    random: fastrand::Rng,
    /// Seconds.
    mean_gap: f64,
    at: f64,
    deck: Vec<usize>,
    dealt: usize,
}

impl Arrivals {
    /// So many a second on average, of kinds with these weights.
    pub(super) fn new(per_second: f64, weights: &[u32], random: fastrand::Rng) -> Self {
        let cards = weights.iter().enumerate();
        let deck: Vec<usize> =
            cards.flat_map(|(kind, &weight)| (0..weight).map(move |_| kind)).collect();
        let dealt = deck.len();
        Self { random, mean_gap: 1.0 / per_second, at: 0.0, deck, dealt }
    }

    /// The next one; there is always a next one.
    pub(super) fn next(&mut self) -> Arrival {
        // 1 - [0, 1) is never 0, whose logarithm is infinite.
        self.at -= (1.0 - self.random.f64()).ln() * self.mean_gap;
        if self.dealt == self.deck.len() {
            self.random.shuffle(&mut self.deck);
            self.dealt = 0;
        }
        self.dealt += 1;
        Arrival { at: Duration::from_secs_f64(self.at), operation: self.deck[self.dealt - 1] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(per_second: f64, weights: &[u32]) -> Arrivals {
        Arrivals::new(per_second, weights, fastrand::Rng::with_seed(3))
    }

    #[test]
    fn the_rate_is_kept_on_average_and_gaps_are_those_of_strangers() {
        let mut arrivals = arrivals(1_000.0, &[1]);
        let (mut last, mut gaps) = (Duration::ZERO, Vec::new());
        for _ in 0..20_000 {
            let arrival = arrivals.next();
            gaps.push(arrival.at.as_secs_f64() - last.as_secs_f64());
            last = arrival.at;
        }
        assert!((19.5..20.5).contains(&last.as_secs_f64()), "{last:?}");
        // Of an exponential distribution, mean and deviation are the same, and 63 % are below.
        let below = gaps.iter().filter(|&&gap| gap < 0.001).count();
        assert!((12_300..13_000).contains(&below), "{below}");
        let variance: f64 = gaps.iter().map(|gap| (gap - 0.001).powi(2)).sum::<f64>() / 20_000.0;
        assert!((0.95e-3..1.05e-3).contains(&variance.sqrt()), "{variance}");
    }

    #[test]
    fn every_deck_has_each_operation_as_often_as_its_weight() {
        let mut arrivals = arrivals(10.0, &[40, 6, 2, 1, 1]);
        let mut orders = Vec::new();
        for _ in 0..20 {
            let deck: Vec<usize> = (0..50).map(|_| arrivals.next().operation).collect();
            for (kind, weight) in [40, 6, 2, 1, 1].into_iter().enumerate() {
                assert_eq!(deck.iter().filter(|&&dealt| dealt == kind).count(), weight);
            }
            orders.push(deck);
        }
        orders.dedup();
        assert_eq!(orders.len(), 20);
    }
}
