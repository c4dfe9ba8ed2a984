//! Bytes that bodies of requests and responses may take in the whole process
//! (`AUTH_HTTP_BODY_BUDGET_MIB`).
//!
//! Request bodies count as they arrive and until there is a response, responses until they are handed
//! to the connection. What is small and complete is not counted: it is part of what a request or a
//! connection costs anyway, and both are bounded in number.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::shares::{Cells, Shares};
use crate::domain::client_network::ClientNetwork;

/// Bodies up to this size are not counted.
pub const FREE_BYTES: usize = 4 * 1_024;

/// The budget of one front end.
#[derive(Debug)]
pub struct ByteBudget {
    taken: AtomicUsize,
    limit: usize,
    shares: Shares,
}

impl ByteBudget {
    /// `limit` bytes, of which one client network may take `share`.
    pub fn new(limit: usize, share: usize) -> Self {
        Self { taken: AtomicUsize::new(0), limit, shares: Shares::new(share) }
    }

    /// Nothing yet, for a client; `None` is one without a share of its own.
    pub fn hold(self: &Arc<Self>, client: Option<ClientNetwork>) -> Held {
        let cells = client.map(|network| self.shares.cells_of(network));
        Held { budget: Arc::clone(self), cells, bytes: 0 }
    }

    /// Bytes that are held.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// Some bytes of the budget, given back when dropped.
#[derive(Debug)]
pub struct Held {
    budget: Arc<ByteBudget>,
    cells: Option<Cells>,
    bytes: usize,
}

impl Held {
    /// Takes more, if there is room.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let budget = &*self.budget;
        if self.cells.is_some_and(|cells| !budget.shares.take(cells, bytes)) {
            return false;
        }
        let before = budget.taken.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > budget.limit {
            budget.give_back(self.cells, bytes);
            return false;
        }
        self.bytes += bytes;
        true
    }
}

impl ByteBudget {
    fn give_back(&self, cells: Option<Cells>, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(cells) = cells {
            self.shares.give_back(cells, bytes);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.give_back(self.cells, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use crate::http::bounds::byte_budget::*;

    #[test]
    fn the_whole_and_the_share_of_a_network_are_bounds() {
        let budget = Arc::new(ByteBudget::new(10, 6));
        let client = |last| Some(IpAddr::from([192, 0, 2, last]).into());
        let (mut one, mut other, mut proxy) =
            (budget.hold(client(1)), budget.hold(client(2)), budget.hold(None));
        assert!(one.grow(6) && !one.grow(1));
        assert!(!budget.hold(client(1)).grow(1));
        assert!(other.grow(3) && !other.grow(2));
        assert!(proxy.grow(1) && !proxy.grow(1));
        assert_eq!(budget.taken(), 10);
        drop((one, proxy));
        assert_eq!(budget.taken(), 3);
        assert!(other.grow(3) && !other.grow(1));
        assert!(budget.hold(None).grow(4));
    }
}
