//! A bounded queue in which no client network can keep the others waiting, or out.
//!
//! Networks take turns, one item each. One alone may fill the queue; when another comes, the network
//! that holds the most gives up its newest item for it. So nobody holds more than an equal share while
//! others want theirs, and no place stays empty while somebody wants it.

use std::collections::{HashMap, VecDeque};

use crate::domain::client_network::ClientNetwork;

/// Items that wait, by network.
pub struct FairQueue<T> {
    /// None of them is empty.
    waiting: HashMap<ClientNetwork, VecDeque<T>>,
    /// Every network of `waiting` once, in the order of their turns.
    turns: VecDeque<ClientNetwork>,
    length: usize,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), turns: VecDeque::new(), length: 0 }
    }
}

impl<T> FairQueue<T> {
    /// Items that wait.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Puts an item at the end of its network's; returns the one that finds no place, if all `places`
    /// are taken: of the network that holds the most, which may be the new one itself.
    pub fn push(&mut self, network: ClientNetwork, item: T, places: usize) -> Option<T> {
        let mut refused = None;
        if self.length >= places {
            let own = self.waiting.get(&network).map_or(0, VecDeque::len);
            // If they only changed places, nothing would be won.
            match self.greediest().filter(|(_, held)| *held > own + 1) {
                Some((greediest, _)) => refused = self.take_newest(greediest),
                None => return Some(item),
            }
        }
        let items = self.waiting.entry(network).or_default();
        if items.is_empty() {
            self.turns.push_back(network);
        }
        items.push_back(item);
        self.length += 1;
        refused
    }

    /// The oldest item of the network whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        let network = self.turns.pop_front()?;
        let items = self.waiting.get_mut(&network)?;
        let item = items.pop_front();
        if items.is_empty() {
            self.waiting.remove(&network);
        } else {
            self.turns.push_back(network);
        }
        self.length -= usize::from(item.is_some());
        item
    }

    /// Drops what is not worth keeping.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.waiting.retain(|_, items| {
            items.retain(&mut keep);
            !items.is_empty()
        });
        self.turns.retain(|network| self.waiting.contains_key(network));
        self.length = self.waiting.values().map(VecDeque::len).sum();
    }

    /// The network that holds the most, and how much that is.
    fn greediest(&self) -> Option<(ClientNetwork, usize)> {
        let held = self.waiting.iter().map(|(network, items)| (*network, items.len()));
        held.max_by_key(|(_, held)| *held)
    }

    fn take_newest(&mut self, network: ClientNetwork) -> Option<T> {
        let items = self.waiting.get_mut(&network)?;
        let newest = items.pop_back();
        if items.is_empty() {
            self.waiting.remove(&network);
            self.turns.retain(|other| *other != network);
        }
        self.length -= usize::from(newest.is_some());
        newest
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn network(number: u8) -> ClientNetwork {
        IpAddr::from([192, 0, 2, number]).into()
    }

    fn all(queue: &mut FairQueue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn networks_take_turns_and_each_keeps_its_order() {
        let mut queue = FairQueue::default();
        for (from, item) in [(1, 10), (1, 11), (1, 12), (2, 20), (3, 30), (2, 21)] {
            assert_eq!(queue.push(network(from), item, 8), None);
        }
        assert_eq!(queue.len(), 6);
        assert_eq!(all(&mut queue), [10, 20, 30, 11, 21, 12]);
        assert!(queue.is_empty());
    }

    #[test]
    fn one_network_may_have_every_place_until_another_comes() {
        let mut queue = FairQueue::default();
        for item in 0..4 {
            assert_eq!(queue.push(network(1), item, 4), None);
        }
        assert_eq!(queue.push(network(1), 4, 4), Some(4), "it cannot push out itself");
        assert_eq!(queue.push(network(2), 20, 4), Some(3), "its newest goes");
        assert_eq!(queue.push(network(2), 21, 4), Some(2));
        assert_eq!(queue.push(network(2), 22, 4), Some(22), "both have their share");
        assert_eq!(queue.push(network(1), 5, 4), Some(5));
        assert_eq!(all(&mut queue), [0, 20, 1, 21]);
    }

    #[test]
    fn many_networks_with_one_each_are_not_pushed_out() {
        let mut queue = FairQueue::default();
        for from in 0..4 {
            assert_eq!(queue.push(network(from), u32::from(from), 4), None);
        }
        assert_eq!(queue.push(network(9), 9, 4), Some(9));
        assert_eq!(all(&mut queue), [0, 1, 2, 3]);
    }

    #[test]
    fn what_is_dropped_frees_places_and_turns() {
        let mut queue = FairQueue::default();
        for (from, item) in [(1, 1), (2, 2), (1, 3), (3, 4)] {
            queue.push(network(from), item, 4);
        }
        queue.retain(|item| item % 2 == 0);
        assert_eq!(queue.len(), 2);
        assert_eq!(queue.push(network(1), 5, 4), None);
        assert_eq!(all(&mut queue), [2, 4, 5]);
    }

    #[test]
    fn fewer_places_than_before_take_effect_one_by_one() {
        let mut queue = FairQueue::default();
        for item in 0..4 {
            queue.push(network(1), item, 4);
        }
        assert_eq!(queue.push(network(2), 20, 1), Some(3));
        assert_eq!(queue.len(), 4);
        assert_eq!(queue.push(network(3), 30, 0), Some(2));
    }
}
