//! Settings of the listener and its limits.

use crate::settings::Setting;

/// What holds for the process as a whole.
pub(crate) const PROCESS: &[Setting] =
    &[ENV_FILE, NODE_NAME, DEBUG, LOG_FORMAT_TEXT, SERVER_URL, CLIENT_URL];

/// What the server tells and takes.
pub(crate) const RESPONSES: &[Setting] =
    &[CONCEAL_ERRORS, VERIFY_LINK, ENABLE_CHANGE_ENV, DEV_ROUTES];

/// Where it listens.
pub(crate) const LISTENER: &[Setting] = &[BIND, PORT, API_PREFIX, TRUSTED_PROXIES];

/// What one request and one shutdown may take.
pub(crate) const LIMITS: &[Setting] = &[
    HTTP_MAX_BODY_BYTES,
    HTTP_BODY_BUDGET_MIB,
    HTTP_HEADER_TIMEOUT,
    HTTP_REQUEST_TIMEOUT,
    HTTP_WRITE_TIMEOUT,
    HTTP_MAX_CONCURRENCY,
    HTTP_CLIENT_SHARE,
    SHUTDOWN_GRACE,
    SHUTDOWN_TIMEOUT,
];

pub(crate) const ENV_FILE: Setting = Setting::text(
        "env-file",
        "AUTH_ENV_FILE",
        "",
        "File of NAME=value lines, read at start (the environment wins) and again on SIGHUP (the file wins)",
    )
    .own();

pub(crate) const NODE_NAME: Setting = Setting::text(
    "node-name",
    "AUTH_NODE_NAME",
    "",
    "Name of this node among those on the same database; empty is the host name",
)
.own();

pub(crate) const DEBUG: Setting =
    Setting::boolean("debug", "AUTH_DEBUG", "false", "Log at debug level, with source locations");

pub(crate) const LOG_FORMAT_TEXT: Setting = Setting::boolean(
    "log-format-text",
    "AUTH_LOG_FORMAT_TEXT",
    "false",
    "Log readable text instead of JSON lines",
);

pub(crate) const SERVER_URL: Setting = Setting::text(
    "server-url",
    "AUTH_SERVER_URL",
    "",
    "External address of this server with the API prefix; base of the links in mails",
)
.live();

pub(crate) const CLIENT_URL: Setting = Setting::text(
    "client-url",
    "AUTH_CLIENT_URL",
    "",
    "Address of the application; default target and first allowed target of redirects",
)
.live();

pub(crate) const CONCEAL_ERRORS: Setting = Setting::boolean(
    "conceal-errors",
    "AUTH_CONCEAL_ERRORS",
    "false",
    "Replace errors that reveal something about accounts by a general one",
)
.live();

pub(crate) const VERIFY_LINK: Setting = Setting::choice(
    "verify-link",
    "AUTH_VERIFY_LINK",
    &["direct", "confirm"],
    "direct",
    "What a mailed link does: direct signs in at once; confirm shows a page with a button, for readers whose mail \
     passes programs that open links",
)
.own();

pub(crate) const ENABLE_CHANGE_ENV: Setting = Setting::boolean(
    "enable-change-env",
    "AUTH_ENABLE_CHANGE_ENV",
    "false",
    "Serve POST /change-env, by which anyone can change settings; for test suites only",
);

pub(crate) const DEV_ROUTES: Setting = Setting::boolean(
    "dev-routes",
    "AUTH_DEV_ROUTES",
    "false",
    "Show captured mail on /dev/inbox to whoever reaches this server; on in keywright dev",
)
.own();

pub(crate) const BIND: Setting = Setting::text(
    "bind",
    "AUTH_BIND",
    "::",
    "Address to listen on; :: is every interface, IPv4 too",
)
.own();

pub(crate) const PORT: Setting =
    Setting::text("port", "AUTH_PORT", "4000", "Port to listen on; empty or 0 picks a free one");

pub(crate) const API_PREFIX: Setting = Setting::text(
    "api-prefix",
    "AUTH_API_PREFIX",
    "",
    "Path before all routes, such as /v1; with a leading and without a trailing slash",
);

pub(crate) const TRUSTED_PROXIES: Setting = Setting::list(
    "trusted-proxies",
    "AUTH_TRUSTED_PROXIES",
    "",
    "Addresses or networks whose X-Forwarded-For is believed; none trusts nobody; default are loopback \
     addresses, and on a database that Keywright did not create private networks, too",
)
.own();

pub(crate) const HTTP_MAX_BODY_BYTES: Setting = Setting::int(
    "http-max-body-bytes",
    "AUTH_HTTP_MAX_BODY_BYTES",
    "1048576",
    "Largest request body of operations that take metadata, in bytes; others take 64 KiB at the most",
)
.own();

pub(crate) const HTTP_BODY_BUDGET_MIB: Setting = Setting::int(
    "http-body-budget-mib",
    "AUTH_HTTP_BODY_BUDGET_MIB",
    "64",
    "MiB that bodies of requests, and of responses that are not read, may take together before 503",
)
.own();

pub(crate) const HTTP_HEADER_TIMEOUT: Setting = Setting::duration(
    "http-header-timeout",
    "AUTH_HTTP_HEADER_TIMEOUT",
    "5s",
    "Longest time until the headers of a request are complete",
)
.own();

pub(crate) const HTTP_REQUEST_TIMEOUT: Setting = Setting::duration(
    "http-request-timeout",
    "AUTH_HTTP_REQUEST_TIMEOUT",
    "30s",
    "Longest time for one request, body and response included",
)
.own();

pub(crate) const HTTP_WRITE_TIMEOUT: Setting = Setting::duration(
    "http-write-timeout",
    "AUTH_HTTP_WRITE_TIMEOUT",
    "20s",
    "Longest time for which a client may read nothing of a response; twice that for a whole one",
)
.own();

pub(crate) const HTTP_MAX_CONCURRENCY: Setting = Setting::int(
    "http-max-concurrency",
    "AUTH_HTTP_MAX_CONCURRENCY",
    "10000",
    "Requests in flight before new ones are refused with 503",
)
.own();

pub(crate) const HTTP_CLIENT_SHARE: Setting = Setting::int(
    "http-client-share",
    "AUTH_HTTP_CLIENT_SHARE",
    "50",
    "Percent of the connections, requests in flight and bytes of bodies that one client network may have; 100 is no limit",
)
.own();

pub(crate) const SHUTDOWN_GRACE: Setting = Setting::duration(
        "shutdown-grace",
        "AUTH_SHUTDOWN_GRACE",
        "5s",
        "How long after SIGTERM everything is still served while /healthz says 503, so that balancers move away",
    )
    .own();

pub(crate) const SHUTDOWN_TIMEOUT: Setting = Setting::duration(
    "shutdown-timeout",
    "AUTH_SHUTDOWN_TIMEOUT",
    "30s",
    "Longest wait for requests in flight when the server stops",
)
.own();
