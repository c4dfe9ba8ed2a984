//! How long what is over is kept.

use std::time::Duration;

use crate::config::reading::Reader;
use crate::config::rows;

/// How long what is over is kept; all ours.
#[derive(Clone, Copy, Debug)]
pub struct HousekeepingConfig {
    /// `AUTH_SESSIONS_KEEP_EXPIRED`, default 24 h.
    pub sessions_kept: Duration,
    /// `AUTH_ANONYMOUS_USERS_KEEP`; `None`: for ever.
    pub anonymous_users_kept: Option<Duration>,
    /// `AUTH_SESSIONS_VACUUM`, default true.
    pub vacuums: bool,
}

impl HousekeepingConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        let kept = reader.duration(&rows::housekeeping::ANONYMOUS_USERS_KEEP, true);
        Self {
            sessions_kept: reader.duration(&rows::housekeeping::SESSIONS_KEEP_EXPIRED, true),
            anonymous_users_kept: (!kept.is_zero()).then_some(kept),
            vacuums: reader.boolean(&rows::housekeeping::SESSIONS_VACUUM),
        }
    }
}
