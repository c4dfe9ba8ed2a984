//! Metrics of the housekeeping.

use super::Counter;

/// Rows removed, table by table.
#[derive(Debug)]
pub struct HousekeepingStats {
    removed: Box<[(&'static str, Counter)]>,
}

impl HousekeepingStats {
    /// At zero, for these tables.
    pub fn new(tables: impl IntoIterator<Item = &'static str>) -> Self {
        Self { removed: tables.into_iter().map(|table| (table, Counter::default())).collect() }
    }

    /// So many rows of the table at `place` are gone.
    pub fn removed(&self, place: usize, rows: u64) {
        self.removed[place].1.add(rows);
    }

    /// Each table with the number of rows removed since the start.
    pub fn tables(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.removed.iter().map(|(table, rows)| (*table, rows.get()))
    }
}
