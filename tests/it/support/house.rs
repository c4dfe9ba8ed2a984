//! The housekeeping of a server, when a test wants it.

use super::app::TestApp;
use super::smtp::eventually;

/// How many sweeps of this table have ended on this node.
pub(crate) fn sweeps(app: &TestApp, table: &str) -> u64 {
    let stats = app.app().actors.housekeeping.metrics();
    let stats = stats.tables().find(|stats| stats.name == table).expect("it is swept");
    stats.sweeps.get()
}

/// Waits for the sweep of this table that comes with the start.
pub(crate) async fn first_sweep(app: &TestApp, table: &str) {
    eventually("the first sweep", async || sweeps(app, table) > 0).await;
}

/// Sweeps this table once more, as it and the clock are now.
pub(crate) async fn sweep(app: &TestApp, table: &str) {
    // Or it would be taken for this one.
    first_sweep(app, table).await;
    let before = sweeps(app, table);
    // A new incarnation looks at every table at once.
    app.app().actors.housekeeping.actor().crash();
    eventually("another sweep", async || sweeps(app, table) > before).await;
}
