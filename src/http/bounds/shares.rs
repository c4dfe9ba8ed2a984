//! How much of something bounded each client network has.
//!
//! Plain counters under a hash of the network, two for each, of which the smaller one counts: a
//! network is refused for what others have only if it meets greedy ones at both places, which
//! nobody can arrange, since the hash is keyed. There is no lock and nothing to tidy.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::domain::client_network::ClientNetwork;

/// Counters of each row; a power of two.
const CELLS: usize = 4_096;

/// What client networks have of one thing.
#[derive(Debug)]
pub struct Shares {
    cells: [Box<[AtomicUsize]>; 2],
    hasher: RandomState,
    limit: usize,
}

/// Where the counters of a network are.
#[derive(Clone, Copy, Debug)]
pub struct Cells([usize; 2]);

impl Shares {
    /// Of which one network may have `limit`.
    pub fn new(limit: usize) -> Self {
        let row = || (0..CELLS).map(|_| AtomicUsize::new(0)).collect();
        Self { cells: [row(), row()], hasher: RandomState::new(), limit }
    }

    /// The counters of a network.
    pub fn cells_of(&self, network: ClientNetwork) -> Cells {
        let hash = self.hasher.hash_one(network).to_le_bytes();
        let half = |at: usize| usize::from(u16::from_le_bytes([hash[at], hash[at + 1]])) % CELLS;
        Cells([half(0), half(4)])
    }

    /// Takes more, if that is not too much.
    pub fn take(&self, cells: Cells, amount: usize) -> bool {
        let before = self.both(cells).map(|cell| cell.fetch_add(amount, Ordering::Relaxed));
        if before[0].min(before[1]).saturating_add(amount) <= self.limit {
            return true;
        }
        self.give_back(cells, amount);
        false
    }

    /// Gives back what was taken.
    pub fn give_back(&self, cells: Cells, amount: usize) {
        for cell in self.both(cells) {
            cell.fetch_sub(amount, Ordering::Relaxed);
        }
    }

    fn both(&self, Cells([first, second]): Cells) -> [&AtomicUsize; 2] {
        [&self.cells[0][first], &self.cells[1][second]]
    }
}

/// `percent` of a whole, at least one.
pub fn share_of(whole: usize, percent: u8) -> usize {
    // Without a product that may be too large.
    (whole / 100 * usize::from(percent) + whole % 100 * usize::from(percent) / 100).max(1)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use crate::http::bounds::shares::*;

    fn network(text: &str) -> ClientNetwork {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_network_has_its_share_and_takes_nothing_of_another() {
        let shares = Shares::new(10);
        let (greedy, modest) =
            (shares.cells_of(network("192.0.2.1")), shares.cells_of(network("192.0.2.2")));
        assert!(shares.take(greedy, 10));
        assert!(!shares.take(greedy, 1));
        assert!(shares.take(modest, 10));
        shares.give_back(greedy, 4);
        assert!(!shares.take(greedy, 5));
        assert!(shares.take(greedy, 4));
    }

    #[test]
    fn many_greedy_networks_do_not_shut_out_one_that_takes_little() {
        let shares = Shares::new(1);
        for n in 0..64_u8 {
            shares.take(shares.cells_of(IpAddr::from([10, 0, 0, n]).into()), 1);
        }
        let refused = (0..64_u8)
            .filter(|n| !shares.take(shares.cells_of(IpAddr::from([10, 0, 1, *n]).into()), 1));
        assert!(refused.count() < 4);
    }

    #[test]
    fn a_share_is_never_nothing() {
        assert_eq!((share_of(1, 50), share_of(3, 50), share_of(250, 10)), (1, 1, 25));
        assert_eq!(share_of(usize::MAX, 100), usize::MAX);
    }
}
