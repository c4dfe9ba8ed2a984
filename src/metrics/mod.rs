//! What is counted and timed, by plain atomics.
//!
//! Every part of a server owns its metrics (a handle its actor's, a router its routes',
//! a cache its hits); there is no global registry, so that many servers in one process do not mix.
//! Counting takes no lock, allocates nothing and knows no label: names and labels are put together
//! when somebody reads (`http/admin/exposition.rs`).

pub mod actor;
pub mod counter;
pub mod histogram;
pub mod housekeeping;
pub mod http;
pub mod mail;
pub mod process;
pub mod scale;
pub mod security;
pub mod signing_keys;

pub use actor::{ActorStats, BatcherStats, CacheStats, Queue};
pub use counter::Counter;
pub use histogram::{Histogram, Snapshot};
pub use housekeeping::{HousekeepingStats, TableStats};
pub use http::HttpStats;
pub use mail::{MailStats, SmsStats};
pub use security::{SecurityEvent, SecurityEvents};
pub use signing_keys::SigningKeyStats;
