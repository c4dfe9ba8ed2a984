//! The one table of all settings, in sections.
//!
//! Flags, environment names, defaults, `--help`, `docs/settings.md`, parsing and the notices at
//! start all come from this table.

use super::rows::{
    accounts, actors, admin, claims, database, hasura, housekeeping, legacy, mail, methods,
    oauth2_server, passwords, protection, providers, recipients, runtime, sealing, server, sms,
    tokens, traces, webauthn,
};
use crate::oauth::providers::ALL as PROVIDERS;
use crate::settings::Setting;

/// Settings under one heading of `--help` and of the documentation.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    pub heading: &'static str,
    /// In the order in which they are shown; rows of several files may stand under one heading.
    rows: &'static [&'static [Setting]],
}

impl Section {
    /// Its settings, in order.
    pub fn settings(&self) -> impl Iterator<Item = &'static Setting> + use<> {
        self.rows.iter().copied().flatten()
    }
}

/// The table, but for the providers of identities, which keep their settings with the rest of what
/// makes them: see [`sections`].
const SECTIONS: &[Section] = &[
    Section {
        heading: "General",
        rows: &[server::PROCESS, accounts::REDIRECTS, server::RESPONSES],
    },
    Section { heading: "Front end", rows: &[server::LISTENER, runtime::ROWS, server::LIMITS] },
    Section { heading: "Database", rows: &[database::ROWS] },
    Section { heading: "Hasura", rows: &[hasura::ROWS] },
    Section { heading: "Accounts", rows: &[accounts::ROWS] },
    Section { heading: "Passwords", rows: &[passwords::ROWS] },
    Section { heading: "Tokens", rows: &[tokens::ROWS, claims::ROWS] },
    Section { heading: "E-mail", rows: &[mail::ROWS] },
    Section { heading: "Actors", rows: &[actors::ROWS] },
    Section { heading: "Housekeeping", rows: &[housekeeping::ROWS] },
    Section { heading: "Admin listener", rows: &[admin::ROWS] },
    Section { heading: "Traces", rows: &[traces::ROWS] },
    Section {
        heading: "Sign-in methods",
        rows: &[methods::SIGN_IN, webauthn::ROWS, methods::SIGN_UP],
    },
    Section {
        heading: "Protection",
        rows: &[
            methods::ELEVATION,
            protection::SERVICES,
            sealing::ROWS,
            protection::LIMITS,
            recipients::ROWS,
        ],
    },
    Section { heading: "SMS", rows: &[sms::ROWS] },
    Section { heading: "Social sign-in", rows: &[providers::ROWS] },
    Section { heading: "OAuth2 server", rows: &[oauth2_server::ROWS] },
    Section { heading: "Names of older versions", rows: &[legacy::ROWS] },
];

/// The whole table.
pub fn sections() -> impl Iterator<Item = Section> {
    let providers = PROVIDERS.iter().map(|provider| Section {
        heading: provider.title,
        rows: std::slice::from_ref(&provider.settings),
    });
    SECTIONS.iter().copied().chain(providers)
}

/// Every setting, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    sections().flat_map(|section| section.settings())
}

/// The setting that has this environment variable, as its first name or as its alias.
pub fn find(variable: &str) -> Option<&'static Setting> {
    all().find(|setting| setting.variables().any(|name| name == variable))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_flag_and_every_variable_is_in_the_table_once() {
        let mut flags = HashSet::new();
        let mut variables = HashSet::new();
        for setting in all() {
            assert!(setting.flag.is_none_or(|flag| flags.insert(flag)), "{:?}", setting.flag);
            for variable in setting.variables() {
                assert!(variables.insert(variable), "{variable}");
            }
        }
    }

    #[test]
    fn every_default_is_well_formed_and_every_help_one_line() {
        for setting in all() {
            if !setting.default.is_empty() {
                assert_eq!(setting.kind.check(setting.default), Ok(()), "{}", setting.variable);
            }
            assert!(!setting.help.is_empty() && !setting.help.contains('\n'), "{}", setting.help);
            assert!(!setting.help.ends_with('.'), "{}", setting.help);
        }
    }

    #[test]
    fn an_alias_finds_its_setting() {
        let by_alias = find("HASURA_GRAPHQL_DATABASE_URL").unwrap();
        assert_eq!(by_alias.variable, "POSTGRES_CONNECTION");
    }
}
