//! The `options` of operations that create users.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::error::ErrorCode;
use super::locale::Locales;
use super::redirect::RedirectRules;
use super::roles::RoleRules;

/// Most characters of a display name.
const MAX_DISPLAY_NAME: usize = 32;

/// Letters, numbers, symbols and some punctuation of any script.
static DISPLAY_NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\A[\p{L}\p{N}\p{S} ,.'-]+\z").expect("the pattern is fixed and valid")
});

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
    /// Checks the limits of the contract's schema; the error names the field, for the client.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.display_name.as_deref().is_some_and(|name| !is_display_name(name)) {
            return Err("options.displayName must be 1 to 32 letters, numbers, symbols or ,.'-");
        }
        if self.locale.as_deref().is_some_and(|locale| locale.chars().count() != 2) {
            return Err("options.locale must have 2 characters");
        }
        if self.metadata.as_deref().is_some_and(|metadata| !metadata.get().starts_with('{')) {
            return Err("options.metadata must be an object");
        }
        Ok(())
    }

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

/// Whether the contract allows this as a display name.
pub fn is_display_name(name: &str) -> bool {
    name.chars().count() <= MAX_DISPLAY_NAME && DISPLAY_NAME.is_match(name)
}

/// A member that is there must have a value: `null` is a wrong type, not an absence.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<SignUpOptions, serde_json::Error> {
        serde_json::from_str(json)
    }

    fn resolve(json: &str) -> Result<ResolvedOptions, ErrorCode> {
        parse(json).unwrap().resolve(
            &RedirectRules::new("https://a.io", &[]).unwrap(),
            &RoleRules::new("user".to_owned(), vec!["me".to_owned()]),
            &Locales::new("en".to_owned(), vec!["de".to_owned()]),
            "me@a.io",
        )
    }

    #[test]
    fn without_wishes_the_defaults_are_taken() {
        let options = resolve("{}").unwrap();
        assert_eq!(options.redirect_to, "https://a.io");
        assert_eq!(options.default_role, "user");
        assert_eq!(options.allowed_roles, ["me", "user"]);
        assert_eq!(options.display_name, "me@a.io");
        assert_eq!(options.locale, "en");
        assert!(options.metadata.is_none());
    }

    #[test]
    fn wishes_are_granted_and_metadata_is_kept_to_the_letter() {
        let options = resolve(
            r#"{"redirectTo":"https://a.io/x","defaultRole":"me","allowedRoles":["me","me"],
                "displayName":"Jo <3","locale":"de","metadata":{"b": 1.0, "a":null}}"#,
        )
        .unwrap();
        assert_eq!(options.redirect_to, "https://a.io/x");
        assert_eq!(options.allowed_roles, ["me"]);
        assert_eq!(options.display_name, "Jo <3");
        assert_eq!(options.locale, "de");
        assert_eq!(options.metadata.unwrap().get(), r#"{"b": 1.0, "a":null}"#);
    }

    #[test]
    fn the_first_rule_that_is_broken_counts() {
        let all_wrong = r#"{"redirectTo":"https://evil.io","allowedRoles":["admin"]}"#;
        assert_eq!(resolve(all_wrong).unwrap_err(), ErrorCode::RedirectToNotAllowed);
        let roles_wrong = r#"{"defaultRole":"admin","allowedRoles":["admin"]}"#;
        assert_eq!(resolve(roles_wrong).unwrap_err(), ErrorCode::RoleNotAllowed);
        let default_missing = r#"{"allowedRoles":["me"]}"#;
        assert_eq!(
            resolve(default_missing).unwrap_err(),
            ErrorCode::DefaultRoleMustBeInAllowedRoles
        );
    }

    #[test]
    fn null_and_unknown_members_are_refused() {
        for json in [r#"{"locale":null}"#, r#"{"metadata":null,"locale":null}"#, r#"{"x":1}"#] {
            assert!(parse(json).is_err(), "{json}");
        }
    }

    #[test]
    fn limits_of_the_schema_are_checked() {
        let long = format!(r#"{{"displayName":"{}"}}"#, "é".repeat(33));
        for json in [
            r#"{"displayName":""}"#,
            r#"{"displayName":"a&b"}"#,
            r#"{"displayName":"a\n"}"#,
            r#"{"locale":"eng"}"#,
            r#"{"metadata":[1]}"#,
            r#"{"metadata":null}"#,
            &long,
        ] {
            assert!(parse(json).unwrap().check().is_err(), "{json}");
        }
        let fine = r#"{"displayName":"Zoë O'Neil-2, +=<>","locale":"éé","metadata":{}}"#;
        assert_eq!(parse(fine).unwrap().check(), Ok(()));
    }
}
