//! What operators see and use: actors, the admin listener, metrics, traces, the bench.

mod actors;
mod admin;
mod bench;
mod bench_work;
mod cluster;
mod cluster_page;
mod cluster_peers;
mod cluster_settings;
mod dump_and_restore;
mod expired_sessions;
mod housekeeping;
mod idle_users;
mod metrics;
mod task_panics;
mod traces;
mod vacuum;
