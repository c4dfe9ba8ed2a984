//! `SignUpOptions` of the contract.

use serde::Deserialize;

use super::fields::{DisplayName, LocaleField, MetadataField, TextField, not_null};
use crate::app::App;
use crate::domain::code_challenge::CodeChallenge;
use crate::domain::error::AuthError;
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

impl SignUpOptionsField {
    /// The options, if their metadata is within the limit; the challenge stands beside them in
    /// requests.
    pub fn checked(
        self,
        app: &App,
        code_challenge: Option<CodeChallenge>,
    ) -> Result<SignUpOptions, AuthError> {
        let max_bytes = app.config().accounts.metadata_max_bytes;
        let metadata =
            self.metadata.map(|metadata| metadata.within(max_bytes, "/options/metadata"));
        Ok(SignUpOptions {
            code_challenge,
            allowed_roles: self
                .allowed_roles
                .map(|roles| roles.into_iter().map(TextField::into_string).collect()),
            default_role: self.default_role.map(TextField::into_string),
            display_name: self.display_name.map(DisplayName::into_string),
            locale: self.locale.map(LocaleField::into_string),
            metadata: metadata.transpose()?,
            redirect_to: self.redirect_to.map(TextField::into_string),
        })
    }
}

/// `OptionsRedirectTo` of the contract: operations whose only option is where to go next.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedirectOptionsField {
    #[serde(default, deserialize_with = "not_null")]
    redirect_to: Option<TextField>,
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
