//! Settings of what people are sent without having asked for it, and how much at most.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[SECURITY_NOTICES, RECIPIENT_LIMITS];

pub(crate) const SECURITY_NOTICES: Setting = Setting::list(
    "security-notices",
    "AUTH_SECURITY_NOTICES",
    "",
    "What users are told by mail when it happens to their account: password, email, security-key, totp, pat, identity, locked-sign-in, first-proof; or all, or none; unset means all on a database that Keywright created, first-proof on an adopted one",
)
.own()
.live();

pub(crate) const RECIPIENT_LIMITS: Setting = Setting::list(
    "recipient-limits",
    "AUTH_RECIPIENT_LIMITS",
    "mail:5/1h,sms:3/1h,notice:3/1h",
    "Most mails, SMS and security notices of each template that one recipient is sent in how long, on all nodes together; mail:off lifts one, off lifts all, what is not named keeps its default",
)
.own()
.live();
