//! Settings of the threads that serve.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[WORKER_THREADS];

pub(crate) const WORKER_THREADS: Setting = Setting::int(
    "worker-threads",
    "AUTH_WORKER_THREADS",
    "",
    "Threads that serve requests; unset means one less than there are cores, and at least one",
)
.own();
