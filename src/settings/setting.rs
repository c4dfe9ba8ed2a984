//! What a setting is: its names, its type, its default, and when a change takes effect.

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
    pub(crate) fn check(self, text: &str) -> Result<(), Malformed> {
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
    pub(crate) fn same(self, one: &str, other: &str) -> bool {
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
pub(crate) fn place(error: &serde_json::Error) -> String {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    pub(crate) const fn int(
        flag: &'static str,
        variable: &'static str,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new(Kind::Int, flag, variable, default, help)
    }

    pub(crate) const fn duration(
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

    pub(crate) const fn json(
        flag: &'static str,
        variable: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new(Kind::Json, flag, variable, "", help)
    }

    /// A name of the environment alone, which does nothing here.
    pub(crate) const fn unneeded(variable: &'static str, reason: &'static str) -> Self {
        Self::new(Kind::Text, "", variable, "", reason).without_flag().not_needed(reason)
    }

    pub(crate) const fn without_flag(mut self) -> Self {
        self.flag = None;
        self
    }

    pub(crate) const fn or(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    pub(crate) const fn hidden(mut self) -> Self {
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
    pub(crate) const fn tunable(mut self) -> Self {
        self.effect = Effect::Tuning;
        self
    }

    pub(crate) const fn not_yet(mut self) -> Self {
        self.support = Support::NotYet;
        self
    }

    pub(crate) const fn not_needed(mut self, reason: &'static str) -> Self {
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
