//! Settings of the housekeeping: how long what is over is kept.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[SESSIONS_KEEP_EXPIRED, ANONYMOUS_USERS_KEEP, SESSIONS_VACUUM];

pub(crate) const SESSIONS_KEEP_EXPIRED: Setting = Setting::duration(
    "sessions-keep-expired",
    "AUTH_SESSIONS_KEEP_EXPIRED",
    "24h",
    "How long sessions that have expired are kept before they are removed",
)
.own()
.live();

pub(crate) const ANONYMOUS_USERS_KEEP: Setting = Setting::duration(
    "anonymous-users-keep",
    "AUTH_ANONYMOUS_USERS_KEEP",
    "0",
    "How long anonymous users are kept who do not come and have neither session nor personal access token; they go with all that hangs on them; 0 means for ever",
)
.own()
.live();

pub(crate) const SESSIONS_VACUUM: Setting = Setting::boolean(
    "sessions-vacuum",
    "AUTH_SESSIONS_VACUUM",
    "true",
    "Vacuum the table of sessions once most of its rows are dead, without waiting for autovacuum",
)
.own()
.live();
