//! Tells other nodes what this one has counted of requests, and hears what they have.

use std::collections::HashMap;

use super::counter_store::Untold;
use super::counters::Counters;
use super::rate_limiter::STATEMENT_LIMIT;
use crate::domain::rate_limit::Halves as Counted;
use crate::persistence::counters::{self, Halves, Key};
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::time_limit::in_time;

/// Keys of one statement.
const MOST: usize = 1_000;

impl Counters {
    /// One statement, if there is something to tell, or to find out whether Postgres answers again.
    pub(super) async fn exchange(&self, pool: &MeasuredPool, node: i64) {
        let reach = &self.request_reach;
        if !reach.may_ask() {
            if self.requests.has_untold() {
                reach.note_alone();
            }
            return;
        }
        let news = self.requests.take_untold(MOST);
        if news.is_empty() && reach.is_there() {
            return;
        }
        let named: HashMap<Key, Untold> =
            news.into_iter().map(|one| (self.key.name(&one.key), one)).collect();
        let own: Vec<Halves> = named.iter().map(|(key, one)| own(*key, one)).collect();
        match in_time(STATEMENT_LIMIT, counters::exchange(pool, node, &own)).await {
            Ok(others) => {
                reach.answered();
                learn(&named, &others);
            }
            Err(error) => {
                reach.failed(&error);
                reach.note_alone();
                self.requests.put_back(named.into_values().collect());
            }
        }
    }
}

fn own(key: Key, news: &Untold) -> Halves {
    let (window, counted) = news.tell();
    Halves {
        key,
        span: i64::try_from(news.key.window.as_millis()).unwrap_or(i64::MAX).max(1),
        slot: i64::try_from(window).unwrap_or(i64::MAX),
        // As much as the column holds.
        current: i64::from(counted.current).min(i32::MAX.into()),
        previous: i64::from(counted.previous).min(i32::MAX.into()),
    }
}

fn learn(named: &HashMap<Key, Untold>, others: &[Halves]) {
    let mut by_key: HashMap<&Key, Vec<(u64, Counted)>> = HashMap::new();
    for one in others {
        let half = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
        let counted = Counted { current: half(one.current), previous: half(one.previous) };
        let slot = u64::try_from(one.slot).unwrap_or_default();
        by_key.entry(&one.key).or_default().push((slot, counted));
    }
    for (key, news) in named {
        news.learn(by_key.remove(key).into_iter().flatten());
    }
}
