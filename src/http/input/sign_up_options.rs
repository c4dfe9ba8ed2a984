//! `SignUpOptions` of the contract.

use serde::Deserialize;

use super::fields::{DisplayName, LocaleField, MetadataField, TextField, not_null};
use crate::domain::code_challenge::CodeChallenge;
use crate::domain::return_target::RequestedTarget;
use crate::domain::sign_up_options::SignUpOptions;

/// The `options` member of operations that create users, with the contract's limits.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignUpOptionsField {
    #[serde(default, deserialize_with = "not_null")]
    allowed_roles: Option<Vec<TextField>>,
    #[serde(default, deserialize_with = "not_null")]
    default_role: Option<TextField>,
    #[serde(default, deserialize_with = "not_null")]
    display_name: Option<DisplayName>,
    #[serde(default, deserialize_with = "not_null")]
    locale: Option<LocaleField>,
    #[serde(default, deserialize_with = "not_null")]
    metadata: Option<MetadataField>,
    #[serde(default, deserialize_with = "not_null")]
    redirect_to: Option<TextField>,
}

impl From<SignUpOptionsField> for SignUpOptions {
    fn from(options: SignUpOptionsField) -> Self {
        Self {
            code_challenge: None,
            allowed_roles: options
                .allowed_roles
                .map(|roles| roles.into_iter().map(TextField::into_string).collect()),
            default_role: options.default_role.map(TextField::into_string),
            display_name: options.display_name.map(DisplayName::into_string),
            locale: options.locale.map(LocaleField::into_string),
            metadata: options.metadata.map(MetadataField::into_raw),
            redirect_to: options.redirect_to.map(TextField::into_string),
        }
    }
}

/// `OptionsRedirectTo` of the contract: operations whose only option is where to go next.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedirectOptionsField {
    #[serde(default, deserialize_with = "not_null")]
    redirect_to: Option<TextField>,
}

impl SignUpOptionsField {
    /// With the challenge that stands beside the options.
    pub fn with_challenge(self, code_challenge: Option<CodeChallenge>) -> SignUpOptions {
        SignUpOptions { code_challenge, ..self.into() }
    }
}

impl RedirectOptionsField {
    /// With the challenge that stands beside the options.
    pub fn into_requested_target(self, code_challenge: Option<CodeChallenge>) -> RequestedTarget {
        RequestedTarget {
            redirect_to: self.redirect_to.map(TextField::into_string),
            code_challenge,
        }
    }
}
