//! The parameters that libpq and pgx know, and what each of them does here.

/// What a parameter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// What it does elsewhere.
    Used,
    /// Nothing, which is harmless, and why.
    Harmless(&'static str),
    /// These values change nothing; others would have to, and why they do not.
    Only(&'static [&'static str], &'static str),
    /// It stops the start, and why.
    Refused(&'static str),
}

use Rule::{Harmless, Only, Refused, Used};

const ON: &[&str] = &["", "1", "true", "on"];
const GSS: &str = "this server has no GSSAPI or Kerberos";
const OAUTH: &str = "this server has no OAuth for Postgres";

/// By name. A name that is not here is a setting of the session, as it is for pgx.
pub(super) const PARAMETERS: &[(&str, Rule)] = &[
    ("application_name", Used),
    ("binary_parameters", Harmless("values are always sent as binary")),
    ("channel_binding", Only(&["", "disable", "prefer"], "there is no channel binding")),
    ("client_encoding", Only(&["", "UTF8", "utf8", "UTF-8", "utf-8", "auto"], "it is always UTF8")),
    ("connect_timeout", Used),
    ("database", Used),
    ("dbname", Used),
    ("default_query_exec_mode", Used),
    ("description_cache_capacity", Harmless("statements are what is cached")),
    ("fallback_application_name", Used),
    ("gssdelegation", Only(&["", "0"], GSS)),
    ("gssencmode", Only(&["", "disable", "prefer"], GSS)),
    ("gsslib", Harmless(GSS)),
    ("host", Used),
    ("hostaddr", Used),
    ("keepalives", Harmless("connections that hang are given up by time limits")),
    ("keepalives_count", Harmless("as keepalives")),
    ("keepalives_idle", Harmless("as keepalives")),
    ("keepalives_interval", Harmless("as keepalives")),
    ("krbspn", Harmless(GSS)),
    ("krbsrvname", Harmless(GSS)),
    ("load_balance_hosts", Harmless("only the first host is used")),
    ("max_protocol_version", Harmless("version 3.0 is spoken")),
    ("min_protocol_version", Only(&["", "3.0"], "version 3.0 is spoken")),
    ("oauth_client_id", Refused(OAUTH)),
    ("oauth_client_secret", Refused(OAUTH)),
    ("oauth_issuer", Refused(OAUTH)),
    ("oauth_scope", Refused(OAUTH)),
    ("options", Used),
    ("passfile", Refused("set PGPASSFILE in the environment, or write the password here")),
    ("password", Used),
    ("pool_health_check_period", Harmless("a connection is tested when it is taken")),
    ("pool_max_conn_idle_time", Used),
    ("pool_max_conn_lifetime", Used),
    ("pool_max_conn_lifetime_jitter", Harmless("connections are opened one by one, as needed")),
    ("pool_max_conns", Used),
    ("pool_min_conns", Used),
    ("pool_min_idle_conns", Harmless("pool_min_conns is what is kept open")),
    ("port", Used),
    ("prefer_simple_protocol", Only(&["", "false", "0"], "values are never put into statements")),
    ("replication", Only(&["", "false", "off", "no", "0"], "this server replicates nothing")),
    ("require_auth", Refused("every method is accepted that the server asks for")),
    ("requirepeer", Refused("the owner of a socket is not looked at")),
    ("scram_client_key", Refused("write the password here")),
    ("scram_server_key", Refused("write the password here")),
    ("service", Refused("service files are not read; write host, user and database here")),
    ("servicefile", Refused("service files are not read; write host, user and database here")),
    ("ssl", Only(&["true"], "see sslmode")),
    ("ssl_max_protocol_version", Only(&["", "TLSv1.3"], "TLS 1.2 and 1.3 are spoken")),
    (
        "ssl_min_protocol_version",
        Only(&["", "TLSv1", "TLSv1.1", "TLSv1.2"], "TLS 1.2 and 1.3 are spoken"),
    ),
    ("sslcert", Used),
    ("sslcertmode", Only(&["", "allow"], "a certificate is shown to servers that ask for one")),
    ("sslcompression", Only(&["", "0"], "TLS is never compressed")),
    ("sslcrl", Refused("revocation lists are not read")),
    ("sslcrldir", Refused("revocation lists are not read")),
    ("sslkey", Used),
    ("sslkeylogfile", Refused("keys are not written down")),
    ("sslmode", Used),
    ("sslnegotiation", Only(&["", "postgres"], "TLS begins as Postgres' protocol has it")),
    ("sslpassword", Only(&[""], "keys in a file of their own must not be encrypted")),
    ("sslrootcert", Used),
    ("sslsni", Only(ON, "the host's name is always sent")),
    ("statement_cache_capacity", Used),
    ("statement_cache_mode", Only(&["", "prepare", "describe"], "see statement_cache_capacity")),
    (
        "target_session_attrs",
        Only(
            &["", "any", "read-write", "primary", "prefer-standby"],
            "only the first host is used, and it must take writes",
        ),
    ),
    ("tcp_user_timeout", Harmless("as keepalives")),
    ("user", Used),
];

/// The rule and the name as it is written in messages; `None` for a setting of the session.
pub(super) fn find(name: &str) -> Option<(&'static str, Rule)> {
    let at = PARAMETERS.binary_search_by_key(&name, |(known, _)| known).ok()?;
    Some(PARAMETERS[at])
}
