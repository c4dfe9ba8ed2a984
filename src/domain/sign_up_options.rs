//! The `options` of operations that create users.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::error::ErrorCode;
use super::locale::Locales;
use super::redirect::RedirectRules;
use super::roles::RoleRules;

/// What the client asked for; everything may be absent, nothing may be `null`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SignUpOptions {
    #[serde(deserialize_with = "present")]
    pub allowed_roles: Option<Vec<String>>,
    #[serde(deserialize_with = "present")]
    pub default_role: Option<String>,
    #[serde(deserialize_with = "present")]
    pub display_name: Option<String>,
    #[serde(deserialize_with = "present")]
    pub locale: Option<String>,
    #[serde(deserialize_with = "present")]
    pub metadata: Option<Box<RawValue>>,
    #[serde(deserialize_with = "present")]
    pub redirect_to: Option<String>,
}

/// What the new user gets.
#[derive(Clone, Debug)]
pub struct ResolvedOptions {
    /// Allowed target, or the client URL.
    pub redirect_to: String,
    /// One of `allowed_roles`.
    pub default_role: String,
    /// Without duplicates.
    pub allowed_roles: Vec<String>,
    /// As asked for, or the fallback.
    pub display_name: String,
    /// One of the allowed locales.
    pub locale: String,
    /// JSON text as the client sent it.
    pub metadata: Option<Box<RawValue>>,
}

impl SignUpOptions {
    /// Checks the wishes against the rules in the contract's order; the first refusal counts.
    pub fn resolve(
        self,
        redirects: &RedirectRules,
        roles: &RoleRules,
        locales: &Locales,
        fallback_name: &str,
    ) -> Result<ResolvedOptions, ErrorCode> {
        let redirect_to = redirects.choose(self.redirect_to.as_deref())?;
        let chosen = roles.choose(self.default_role.as_deref(), self.allowed_roles.as_deref())?;
        Ok(ResolvedOptions {
            redirect_to,
            default_role: chosen.default,
            allowed_roles: chosen.allowed,
            display_name: self.display_name.unwrap_or_else(|| fallback_name.to_owned()),
            locale: locales.resolve(self.locale.as_deref()).to_owned(),
            metadata: self.metadata,
        })
    }
}

/// A member that is there must have a value: `null` is a wrong type, not an absence.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
