//! The `options` of operations that create users.

use serde::{Deserialize, Serialize};

use super::code_challenge::CodeChallenge;
use super::error::ErrorCode;
use super::locale::Locales;
use super::metadata::Metadata;
use super::redirect::RedirectRules;
use super::return_target::ReturnTarget;
use super::roles::RoleRules;

/// What the client asked for, within the contract's limits; everything may be absent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SignUpOptions {
    pub allowed_roles: Option<Vec<String>>,
    pub default_role: Option<String>,
    pub display_name: Option<String>,
    pub locale: Option<String>,
    pub metadata: Option<Metadata>,
    pub redirect_to: Option<String>,
    /// Beside `options` in requests: a code is wanted where a link is followed.
    #[serde(default)]
    pub code_challenge: Option<CodeChallenge>,
}

/// What the new user gets.
#[derive(Clone, Debug)]
pub struct ResolvedOptions {
    pub return_target: ReturnTarget,
    /// One of `allowed_roles`.
    pub default_role: String,
    /// Without duplicates.
    pub allowed_roles: Vec<String>,
    /// As asked for, or the fallback.
    pub display_name: String,
    /// One of the allowed locales.
    pub locale: String,
    /// As the client sent it.
    pub metadata: Option<Metadata>,
}

impl SignUpOptions {
    /// These options, except where others were given later
    /// (docs/reference-behaviour.md#later-options-win).
    #[must_use]
    pub fn overridden_by(self, later: Self) -> Self {
        Self {
            allowed_roles: later.allowed_roles.or(self.allowed_roles),
            default_role: later.default_role.or(self.default_role),
            display_name: later.display_name.or(self.display_name),
            locale: later.locale.or(self.locale),
            metadata: later.metadata.or(self.metadata),
            redirect_to: later.redirect_to.or(self.redirect_to),
            code_challenge: later.code_challenge.or(self.code_challenge),
        }
    }

    /// Checks the options against the rules in the contract's order; the first refusal counts.
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
            return_target: ReturnTarget { redirect_to, code_challenge: self.code_challenge },
            default_role: chosen.default,
            allowed_roles: chosen.allowed,
            display_name: self.display_name.unwrap_or_else(|| fallback_name.to_owned()),
            locale: locales.resolve(self.locale.as_deref()).to_owned(),
            metadata: self.metadata,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn resolve(options: SignUpOptions) -> Result<ResolvedOptions, ErrorCode> {
        options.resolve(
            &RedirectRules::new("https://a.io", &[]).unwrap(),
            &RoleRules::new("user".to_owned(), vec!["me".to_owned()]),
            &Locales::new("en".to_owned(), vec!["de".to_owned()]),
            "me@a.io",
        )
    }

    fn roles(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn without_options_the_defaults_are_taken() {
        let options = resolve(SignUpOptions::default()).unwrap();
        assert_eq!(options.return_target.redirect_to, "https://a.io");
        assert_eq!(options.default_role, "user");
        assert_eq!(options.allowed_roles, ["me", "user"]);
        assert_eq!(options.display_name, "me@a.io");
        assert_eq!(options.locale, "en");
        assert!(options.metadata.is_none());
    }

    #[test]
    fn options_are_granted_and_metadata_is_kept_to_the_letter() {
        let metadata = r#"{"b": 1.0, "a":null}"#;
        let options = resolve(SignUpOptions {
            redirect_to: Some("https://a.io/x".to_owned()),
            default_role: Some("me".to_owned()),
            allowed_roles: Some(roles(&["me", "me"])),
            display_name: Some("Jo <3".to_owned()),
            locale: Some("de".to_owned()),
            metadata: Metadata::within(RawValue::from_string(metadata.to_owned()).unwrap(), 100),
            code_challenge: None,
        })
        .unwrap();
        assert_eq!(options.return_target.redirect_to, "https://a.io/x");
        assert_eq!(options.allowed_roles, ["me"]);
        assert_eq!(options.display_name, "Jo <3");
        assert_eq!(options.locale, "de");
        assert_eq!(options.metadata.unwrap().raw().get(), metadata);
    }

    #[test]
    fn the_first_rule_that_is_broken_counts() {
        let all_wrong = SignUpOptions {
            redirect_to: Some("https://evil.io".to_owned()),
            allowed_roles: Some(roles(&["admin"])),
            ..SignUpOptions::default()
        };
        assert_eq!(resolve(all_wrong).unwrap_err(), ErrorCode::RedirectToNotAllowed);
        let roles_wrong =
            SignUpOptions { allowed_roles: Some(roles(&["admin"])), ..SignUpOptions::default() };
        assert_eq!(resolve(roles_wrong).unwrap_err(), ErrorCode::RoleNotAllowed);
        let default_missing =
            SignUpOptions { allowed_roles: Some(roles(&["me"])), ..SignUpOptions::default() };
        assert_eq!(
            resolve(default_missing).unwrap_err(),
            ErrorCode::DefaultRoleMustBeInAllowedRoles
        );
    }
}
