//! Names that are still found in old environments and that do nothing in the reference either.

use crate::settings::Setting;

const OLD: &str = "a name of an older version that has no effect any more";

pub(crate) const ROWS: &[Setting] = &[
    Setting::unneeded("AUTH_LOG_LEVEL", "use AUTH_DEBUG"),
    Setting::unneeded("NODE_ENV", OLD),
    Setting::unneeded("AUTH_HOST", "use AUTH_BIND"),
    Setting::unneeded("AUTH_SMS_TEST_PHONE_NUMBERS", OLD),
    Setting::unneeded("AUTH_EMAIL_TEMPLATE_FETCH_URL", "use AUTH_EMAIL_TEMPLATES_PATH"),
    Setting::unneeded("AUTH_SHOW_LOG_QUERY_PARAMS", "query strings are never logged"),
    Setting::unneeded("AUTH_PROVIDER_GITLAB_BASE_URL", OLD),
    Setting::unneeded("AUTH_PROVIDER_FACEBOOK_PROFILE_FIELDS", OLD),
    Setting::unneeded("AUTH_PROVIDER_WORKOKS_DEFAULT_DOMAIN", OLD),
    Setting::unneeded("AUTH_SERVER_PREFIX", "use AUTH_API_PREFIX"),
    Setting::unneeded("AUTH_OAUTH2_PROVIDER_ISSUER", OLD),
    Setting::unneeded("AUTH_OAUTH2_PROVIDER_DCR_ENABLED", OLD),
    Setting::unneeded("AUTH_OAUTH2_PROVIDER_DCR_MAX_CLIENTS_PER_USER", OLD),
];
