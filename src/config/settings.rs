//! What a setting is, and the one table of all of them, in sections.
//!
//! Flags, environment names, defaults, `--help`, `docs/settings.md`, parsing and the notices at start
//! all come from this table.

mod accounts;
mod actors;
mod admin;
mod database;
mod front_end;
mod hasura;
mod legacy;
mod mail;
mod methods;
mod passwords;
mod protection;
mod server;
mod sms;
mod social;
mod successor;
mod tokens;
mod traces;

use crate::oauth::providers;

use super::value::{Malformed, parse_bool, parse_choice, parse_duration, parse_int, parse_list};

/// The type of a setting, which decides its syntax and what an empty variable means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Taken as it is; an empty variable replaces the default.
    Text,
    /// An empty variable is false, whatever the default.
    Bool,
    /// An empty variable keeps the default, as for all that follow.
    Int,
    Duration,
    List,
    Choice(&'static [&'static str]),
    /// JSON text; empty is the same as not set.
    Json,
}

impl Kind {
    /// Its name in messages and in the documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Bool => "boolean",
            Self::Int => "integer",
            Self::Duration => "duration",
            Self::List => "list",
            Self::Choice(_) => "choice",
            Self::Json => "JSON",
        }
    }

    /// Whether an empty environment variable counts as absent.
    pub const fn ignores_empty_variable(self) -> bool {
        !matches!(self, Self::Text | Self::Bool)
    }

    /// Checks the syntax of `text`.
    pub(super) fn check(self, text: &str) -> Result<(), Malformed> {
        match self {
            Self::Text | Self::List => Ok(()),
            Self::Bool => parse_bool(text).map(drop),
            Self::Int => parse_int(text).map(drop),
            Self::Duration => parse_duration(text).map(drop),
            Self::Choice(allowed) => parse_choice(text, allowed).map(drop),
            Self::Json => serde_json::from_str::<serde::de::IgnoredAny>(text)
                .map(drop)
                .map_err(|error| Malformed(format!("failed to parse the JSON: {}", place(&error)))),
        }
    }

    /// Whether two well-formed texts mean the same.
    pub(super) fn same(self, one: &str, other: &str) -> bool {
        match self {
            Self::Text | Self::Choice(_) => one == other,
            Self::Bool => parse_bool(one) == parse_bool(other),
            Self::Int => parse_int(one) == parse_int(other),
            Self::Duration => parse_duration(one) == parse_duration(other),
            Self::List => parse_list(one) == parse_list(other),
            Self::Json => one.trim() == other.trim(),
        }
    }
}

/// Where and how JSON failed, without quoting any of it.
pub(super) fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "a member has the wrong type",
        _ => "syntax error",
    };
    format!("{what} at line {} column {}", error.line(), error.column())
}

/// Whether Keywright does what a setting says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    Supported,
    /// The feature does not exist yet.
    NotYet,
    /// There is nothing to do for it, and why.
    NotNeeded(&'static str),
}

/// When a changed setting takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    NextStart,
    /// At a reload of the env file.
    Reload,
    /// At a reload, and when an operator asks the admin listener for it.
    Tuning,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Without the dashes; names that only exist in the environment have none.
    pub flag: Option<&'static str>,
    /// The environment variable by which messages and the documentation name it.
    pub variable: &'static str,
    /// Read when `variable` is absent.
    pub alias: Option<&'static str>,
    pub kind: Kind,
    /// Never shown, not even in a message about it.
    pub secret: bool,
    /// In the syntax of the kind; empty is empty, false, or computed (the help says how).
    pub default: &'static str,
    /// One line.
    pub help: &'static str,
    pub support: Support,
    /// Keywright's own: the reference has no such setting.
    pub own: bool,
    pub effect: Effect,
}

impl Setting {
    const fn new(
        kind: Kind,
        flag: &'static str,
        variable: &'static str,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            flag: Some(flag),
            variable,
            alias: None,
            kind,
            secret: false,
            default,
            help,
            support: Support::Supported,
            own: false,
            effect: Effect::NextStart,
        }
    }

    pub(crate) const fn text(
        flag: &'static str,
        variable: &'static str,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new(Kind::Text, flag, variable, default, help)
    }

    pub(crate) const fn secret(
        flag: &'static str,
        variable: &'static str,
        help: &'static str,
    ) -> Self {
        let mut setting = Self::new(Kind::Text, flag, variable, "", help);
        setting.secret = true;
        setting
    }

    pub(crate) const fn boolean(
        flag: &'static str,
        variable: &'static str,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new(Kind::Bool, flag, variable, default, help)
    }

    const fn int(
        flag: &'static str,
        variable: &'static str,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new(Kind::Int, flag, variable, default, help)
    }

    const fn duration(
        flag: &'static str,
        variable: &'static str,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new(Kind::Duration, flag, variable, default, help)
    }

    pub(crate) const fn list(
        flag: &'static str,
        variable: &'static str,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new(Kind::List, flag, variable, default, help)
    }

    pub(crate) const fn choice(
        flag: &'static str,
        variable: &'static str,
        allowed: &'static [&'static str],
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new(Kind::Choice(allowed), flag, variable, default, help)
    }

    const fn json(flag: &'static str, variable: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Json, flag, variable, "", help)
    }

    /// A name of the environment alone, which does nothing here.
    const fn unneeded(variable: &'static str, reason: &'static str) -> Self {
        Self::new(Kind::Text, "", variable, "", reason).without_flag().not_needed(reason)
    }

    const fn without_flag(mut self) -> Self {
        self.flag = None;
        self
    }

    const fn or(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    const fn hidden(mut self) -> Self {
        self.secret = true;
        self
    }

    pub(crate) const fn own(mut self) -> Self {
        self.own = true;
        self
    }

    /// [`Setting::own`], if so.
    pub(crate) const fn own_if(mut self, own: bool) -> Self {
        self.own = own;
        self
    }

    pub(crate) const fn live(mut self) -> Self {
        self.effect = Effect::Reload;
        self
    }

    /// Live, and open to `PATCH /ops/settings`: it decides how much work is done at once, never who
    /// may do what.
    const fn tunable(mut self) -> Self {
        self.effect = Effect::Tuning;
        self
    }

    const fn not_yet(mut self) -> Self {
        self.support = Support::NotYet;
        self
    }

    const fn not_needed(mut self, reason: &'static str) -> Self {
        self.support = Support::NotNeeded(reason);
        self
    }

    /// Whether a running server can take it over.
    pub fn is_live(&self) -> bool {
        self.effect != Effect::NextStart
    }

    /// Whether the admin listener changes it.
    pub fn is_tunable(&self) -> bool {
        self.effect == Effect::Tuning
    }

    /// Its environment variables; the first that is present counts.
    pub fn variables(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.variable).chain(self.alias)
    }
}

/// Settings under one heading of `--help` and of the documentation.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    pub heading: &'static str,
    pub settings: &'static [Setting],
}

/// The table, but for the providers of identities, which keep their settings with the rest of what
/// makes them: see [`sections`].
const SECTIONS: &[Section] = &[
    Section { heading: "General", settings: server::GENERAL },
    Section { heading: "Front end", settings: front_end::SETTINGS },
    Section { heading: "Database", settings: database::SETTINGS },
    Section { heading: "Hasura", settings: hasura::SETTINGS },
    Section { heading: "Accounts", settings: accounts::SETTINGS },
    Section { heading: "Passwords", settings: passwords::SETTINGS },
    Section { heading: "Tokens", settings: tokens::SETTINGS },
    Section { heading: "E-mail", settings: mail::SETTINGS },
    Section { heading: "Actors", settings: actors::SETTINGS },
    Section { heading: "Admin listener", settings: admin::SETTINGS },
    Section { heading: "Traces", settings: traces::SETTINGS },
    Section { heading: "Sign-in methods", settings: methods::SETTINGS },
    Section { heading: "Protection", settings: protection::SETTINGS },
    Section { heading: "SMS", settings: sms::SETTINGS },
    Section { heading: "Social sign-in", settings: social::SETTINGS },
    Section { heading: "OAuth2 server", settings: successor::SETTINGS },
    Section { heading: "Names of older versions", settings: legacy::SETTINGS },
];

/// The whole table.
pub fn sections() -> impl Iterator<Item = Section> {
    let providers = providers::ALL
        .iter()
        .map(|provider| Section { heading: provider.title, settings: provider.settings });
    SECTIONS.iter().copied().chain(providers)
}

/// Every setting, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    sections().flat_map(|section| section.settings)
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
