//! Metrics of the housekeeping.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use time::OffsetDateTime;

use super::Counter;

/// What was removed, table by table, and what it took.
#[derive(Debug)]
pub struct HousekeepingStats {
    tables: Box<[TableStats]>,
    keeps_house: AtomicBool,
    pub vacuum: VacuumStats,
}

/// Of one table.
#[derive(Debug)]
pub struct TableStats {
    pub name: &'static str,
    /// Sweeps that went through the whole table.
    pub sweeps: Counter,
    /// Rows that are gone.
    pub removed: Counter,
    /// Rows that Postgres did not let go.
    pub refused: Counter,
    busy: Busy,
    /// How far the walk through the table has come; of no pages: none is under way.
    page: AtomicU32,
    pages: AtomicU32,
    ended: Moment,
}

/// Of vacuuming by need.
#[derive(Debug, Default)]
pub struct VacuumStats {
    /// Dead rows are gone.
    pub done: Counter,
    /// About as many dead rows as before: somebody still sees them, or vacuums already.
    pub without_effect: Counter,
    pub failed: Counter,
    pub busy: Busy,
    pub ended: Moment,
}

/// Time in which there was a statement under way.
#[derive(Debug, Default)]
pub struct Busy(Counter);

impl Busy {
    /// So much more.
    pub fn add(&self, time: Duration) {
        self.0.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// All so far.
    pub fn get(&self) -> Duration {
        Duration::from_micros(self.0.get())
    }
}

/// When something happened last.
#[derive(Debug, Default)]
pub struct Moment(AtomicI64);

impl Moment {
    /// Now.
    pub fn set(&self, now: OffsetDateTime) {
        self.0.store(now.unix_timestamp(), Ordering::Relaxed);
    }

    /// `None` if it never did.
    pub fn get(&self) -> Option<OffsetDateTime> {
        let seconds = Some(self.0.load(Ordering::Relaxed)).filter(|seconds| *seconds != 0)?;
        OffsetDateTime::from_unix_timestamp(seconds).ok()
    }
}

impl HousekeepingStats {
    /// At zero, for these tables.
    pub fn new(tables: impl IntoIterator<Item = &'static str>) -> Self {
        let tables = tables.into_iter().map(TableStats::new).collect();
        Self { tables, keeps_house: AtomicBool::default(), vacuum: VacuumStats::default() }
    }

    /// Those of the table at `place`.
    pub fn table(&self, place: usize) -> &TableStats {
        &self.tables[place]
    }

    /// Each table.
    pub fn tables(&self) -> impl Iterator<Item = &TableStats> {
        self.tables.iter()
    }

    /// Whether this is the node that keeps house.
    pub fn keeps_house(&self) -> bool {
        self.keeps_house.load(Ordering::Relaxed)
    }

    /// Notes whether it is.
    pub fn set_keeps_house(&self, keeps: bool) {
        self.keeps_house.store(keeps, Ordering::Relaxed);
    }
}

impl TableStats {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            sweeps: Counter::default(),
            removed: Counter::default(),
            refused: Counter::default(),
            busy: Busy::default(),
            page: AtomicU32::default(),
            pages: AtomicU32::default(),
            ended: Moment::default(),
        }
    }

    /// A statement has ended.
    pub fn worked(&self, time: Duration) {
        self.busy.add(time);
    }

    /// Time in which there was a statement under way.
    pub fn busy(&self) -> Duration {
        self.busy.get()
    }

    /// A walk has come to this page of so many.
    pub fn walks(&self, page: u32, pages: u32) {
        self.page.store(page, Ordering::Relaxed);
        self.pages.store(pages, Ordering::Relaxed);
    }

    /// The share of its table that a walk has behind it, if one is under way.
    pub fn walked(&self) -> Option<f64> {
        let pages = self.pages.load(Ordering::Relaxed);
        let page = f64::from(self.page.load(Ordering::Relaxed));
        (pages > 0).then(|| (page / f64::from(pages)).min(1.0))
    }

    /// A sweep went through the whole table.
    pub fn end(&self, now: OffsetDateTime) {
        self.ended.set(now);
        self.sweeps.increment();
    }

    /// When a sweep went through the whole table last.
    pub fn ended(&self) -> Option<OffsetDateTime> {
        self.ended.get()
    }
}
