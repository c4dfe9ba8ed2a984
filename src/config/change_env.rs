//! What the body of `POST /change-env` changes: a test suite's way to switch settings of a running
//! server.
//!
//! The member names are the reference's. Where one is also the name of a variable, it is taken from
//! the row of that setting. All or nothing: a body with one wrong member changes nothing.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::Config;
use super::rows;
use super::sections::accounts::{check_locale, check_role};
use super::sections::claims::ClaimsSource;
use super::sections::server::check_client_url;
use super::sections::webauthn::RelyingPartyConfig;
use crate::domain::email_access::EmailAccess;
use crate::domain::json::without_mark;
use crate::domain::locale::Locales;
use crate::domain::redirect::RedirectRules;
use crate::domain::roles::RoleRules;
use crate::settings::value::{parse_http_url, parse_list, trimmed};

/// Why a body was refused; the text is for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeEnvError {
    #[error("the body is not a JSON object: {0}")]
    NotAnObject(String),
    #[error("{member} must be {expected}")]
    WrongType { member: &'static str, expected: &'static str },
    #[error("{member}: {reason}")]
    Refused { member: &'static str, reason: String },
}

fn refused(member: &'static str, reason: impl Into<String>) -> ChangeEnvError {
    ChangeEnvError::Refused { member, reason: reason.into() }
}

/// Members whose settings do not exist or cannot change while the server runs; only their types
/// count.
const FLAGS_WITHOUT_EFFECT: &[&str] = &[rows::accounts::GRAVATAR_ENABLED.variable];
const INTEGERS_WITHOUT_EFFECT: &[&str] = &[rows::tokens::ACCESS_TOKEN_EXPIRES_IN.variable];
const TEXTS_WITHOUT_EFFECT: &[&str] = &[
    rows::accounts::GRAVATAR_DEFAULT.variable,
    rows::accounts::GRAVATAR_RATING.variable,
    "AUTH_SERVER_PREFIX",
    rows::sms::SMS_MODICA_PASSWORD.variable,
    rows::sms::SMS_MODICA_USERNAME.variable,
    rows::sms::SMS_PROVIDER.variable,
    rows::sms::SMS_TWILIO_ACCOUNT_SID.variable,
    rows::sms::SMS_TWILIO_AUTH_TOKEN.variable,
    rows::sms::SMS_TWILIO_MESSAGING_SERVICE_ID.variable,
    rows::tokens::HASURA_GRAPHQL_JWT_SECRET.variable,
];

impl Config {
    /// This configuration with the members of a `/change-env` body in force.
    ///
    /// Missing members and nulls change nothing, unknown members are ignored.
    pub fn with_change_env(&self, body: &[u8]) -> Result<Self, ChangeEnvError> {
        let body: Map<String, Value> = serde_json::from_slice(without_mark(body))
            .map_err(|error| ChangeEnvError::NotAnObject(error.to_string()))?;
        let members = Members(&body);
        members.check_those_without_effect()?;
        let mut config = self.clone();
        change_switches(&mut config, &members)?;
        change_addresses(&mut config, &members)?;
        change_roles(&mut config, &members)?;
        change_locales(&mut config, &members)?;
        change_email_access(&mut config, &members)?;
        change_claims(&mut config, &members)?;
        change_webauthn(&mut config, &members)?;
        Ok(config)
    }
}

fn change_switches(config: &mut Config, members: &Members<'_>) -> Result<(), ChangeEnvError> {
    let accounts = &mut config.accounts;
    let methods = &mut config.methods;
    for (member, setting) in [
        (rows::methods::EMAIL_PASSWORDLESS_ENABLED.variable, &mut methods.email_passwordless),
        (rows::methods::MFA_ENABLED.variable, &mut methods.mfa),
        (rows::protection::PASSWORD_HIBP_ENABLED.variable, &mut config.protection.hibp_enabled),
        (rows::methods::OTP_EMAIL_ENABLED.variable, &mut methods.otp_email),
        (rows::methods::SMS_PASSWORDLESS_ENABLED.variable, &mut methods.sms_passwordless),
        (rows::accounts::ANONYMOUS_USERS_ENABLED.variable, &mut accounts.anonymous_enabled),
        (rows::server::CONCEAL_ERRORS.variable, &mut config.server.conceal_errors),
        (rows::accounts::DISABLE_SIGNUP.variable, &mut accounts.disable_signup),
        (rows::accounts::DISABLE_NEW_USERS.variable, &mut accounts.disable_new_users),
        (
            rows::accounts::EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED.variable,
            &mut accounts.email_verification_required,
        ),
    ] {
        if let Some(value) = members.boolean(member)? {
            *setting = value;
        }
    }
    // Negative numbers mean the same as 0: no least length, expired at once.
    if let Some(length) = members.integer(rows::passwords::PASSWORD_MIN_LENGTH.variable)? {
        config.passwords.min_length = usize::try_from(length.max(0)).unwrap_or(usize::MAX);
    }
    if let Some(seconds) = members.integer(rows::tokens::REFRESH_TOKEN_EXPIRES_IN.variable)? {
        // Times past this cannot be added to a date.
        let seconds = u64::try_from(seconds.clamp(0, i64::from(i32::MAX))).unwrap_or_default();
        config.tokens.refresh_token_lifetime = Duration::from_secs(seconds);
    }
    Ok(())
}

/// The reference stores new redirect targets but goes on with those of the start; here they count.
fn change_addresses(config: &mut Config, members: &Members<'_>) -> Result<(), ChangeEnvError> {
    if let Some(url) =
        members.text(rows::server::SERVER_URL.variable)?.filter(|url| !url.is_empty())
    {
        let url = parse_http_url(url)
            .map_err(|reason| refused(rows::server::SERVER_URL.variable, reason.0))?;
        config.server.server_url = Some(url);
    }
    let client_url = members.text(rows::server::CLIENT_URL.variable)?.filter(|url| !url.is_empty());
    if let Some(url) = client_url {
        check_client_url(url)
            .map_err(|reason| refused(rows::server::CLIENT_URL.variable, reason))?;
        url.clone_into(&mut config.server.client_url);
    }
    let redirects =
        members.comma_list(rows::accounts::ACCESS_CONTROL_ALLOWED_REDIRECT_URLS.variable)?;
    if client_url.is_none() && redirects.is_none() {
        return Ok(());
    }
    let accounts = &mut config.accounts;
    if let Some(redirects) = redirects {
        accounts.lists.redirects = redirects;
    }
    accounts.redirects = RedirectRules::new(&config.server.client_url, &accounts.lists.redirects)
        .map_err(|error| {
        refused(rows::accounts::ACCESS_CONTROL_ALLOWED_REDIRECT_URLS.variable, error.to_string())
    })?;
    Ok(())
}

fn change_roles(config: &mut Config, members: &Members<'_>) -> Result<(), ChangeEnvError> {
    let default = members.text("AUTH_DEFAULT_ROLE")?;
    let allowed = members.list("AUTH_DEFAULT_ALLOWED_ROLES")?;
    if default.is_none() && allowed.is_none() {
        return Ok(());
    }
    let accounts = &mut config.accounts;
    if let Some(allowed) = allowed {
        for role in &allowed {
            check_role(role).map_err(|reason| refused("AUTH_DEFAULT_ALLOWED_ROLES", reason))?;
        }
        accounts.lists.roles = allowed;
    }
    let default = default.unwrap_or(accounts.roles.default_role()).to_owned();
    check_role(&default).map_err(|reason| refused("AUTH_DEFAULT_ROLE", reason))?;
    accounts.roles = RoleRules::new(default, accounts.lists.roles.clone());
    Ok(())
}

fn change_locales(config: &mut Config, members: &Members<'_>) -> Result<(), ChangeEnvError> {
    let default = members.text("AUTH_DEFAULT_LOCALE")?;
    let allowed = members.comma_list(rows::accounts::LOCALE_ALLOWED_LOCALES.variable)?;
    if default.is_none() && allowed.is_none() {
        return Ok(());
    }
    let accounts = &mut config.accounts;
    if let Some(allowed) = allowed {
        for locale in &allowed {
            check_locale(locale).map_err(|reason| {
                refused(rows::accounts::LOCALE_ALLOWED_LOCALES.variable, reason)
            })?;
        }
        accounts.lists.locales = allowed;
    }
    let default = default.unwrap_or(accounts.locales.default_locale()).to_owned();
    check_locale(&default).map_err(|reason| refused("AUTH_DEFAULT_LOCALE", reason))?;
    accounts.locales = Locales::new(default, accounts.lists.locales.clone());
    Ok(())
}

fn change_email_access(config: &mut Config, members: &Members<'_>) -> Result<(), ChangeEnvError> {
    let lists = &mut config.accounts.lists.emails;
    for (member, list) in [
        (rows::accounts::ACCESS_CONTROL_ALLOWED_EMAILS.variable, &mut lists.allowed_emails),
        (rows::accounts::ACCESS_CONTROL_ALLOWED_EMAIL_DOMAINS.variable, &mut lists.allowed_domains),
        (rows::accounts::ACCESS_CONTROL_BLOCKED_EMAILS.variable, &mut lists.blocked_emails),
        (rows::accounts::ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS.variable, &mut lists.blocked_domains),
    ] {
        if let Some(value) = members.comma_list(member)? {
            *list = value;
        }
    }
    config.accounts.email_access = EmailAccess::new(lists.clone());
    Ok(())
}

/// Hasura's own members count for custom claims; its metadata is a matter of the start.
fn change_claims(config: &mut Config, members: &Members<'_>) -> Result<(), ChangeEnvError> {
    if let Some(secret) = members.text(rows::hasura::HASURA_GRAPHQL_ADMIN_SECRET.variable)? {
        config.hasura.admin_secret = SecretString::from(secret);
    }
    if let Some(url) = members
        .text(rows::hasura::HASURA_GRAPHQL_GRAPHQL_URL.variable)?
        .filter(|url| !url.is_empty())
    {
        config.hasura.graphql_url = Some(parse_http_url(url).map_err(|reason| {
            refused(rows::hasura::HASURA_GRAPHQL_GRAPHQL_URL.variable, reason.0)
        })?);
        config.claims.source = ClaimsSource::Hasura;
    }
    let (paths, defaults) = (
        members.json(rows::claims::JWT_CUSTOM_CLAIMS.variable)?,
        members.json(rows::claims::JWT_CUSTOM_CLAIMS_DEFAULTS.variable)?,
    );
    if paths.is_some() || defaults.is_some() {
        let given = &mut config.claims.given;
        given.paths = paths.unwrap_or_else(|| std::mem::take(&mut given.paths));
        given.defaults = defaults.unwrap_or_else(|| std::mem::take(&mut given.defaults));
        config.claims.custom = given.check().map_err(|error| {
            refused(rows::claims::JWT_CUSTOM_CLAIMS.variable, error.to_string())
        })?;
    }
    Ok(())
}

/// The names of two members lack the underscores of the variables.
fn change_webauthn(config: &mut Config, members: &Members<'_>) -> Result<(), ChangeEnvError> {
    let webauthn = &mut config.webauthn;
    if let Some(enabled) = members.boolean(rows::webauthn::WEBAUTHN_ENABLED.variable)? {
        webauthn.enabled = enabled;
    }
    if let Some(id) = members.text("AUTH_WEBAUTHN_RPID")? {
        id.clone_into(&mut webauthn.given.id);
    }
    if let Some(name) = members.text("AUTH_WEBAUTHN_RPNAME")? {
        name.clone_into(&mut webauthn.given.name);
    }
    if let Some(origins) = members.list(rows::webauthn::WEBAUTHN_RP_ORIGINS.variable)? {
        webauthn.given.origins = origins;
    }
    if let Some(nanoseconds) =
        members.integer(rows::webauthn::WEBAUTHN_ATTESTATION_TIMEOUT.variable)?
    {
        // None, or less than a second, means the default, as in the reference.
        let timeout = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
        let usable = Duration::from_secs(1)..=Duration::from_hours(24);
        webauthn.timeout = if usable.contains(&timeout) { timeout } else { Duration::from_mins(5) };
    }
    match webauthn.given.resolve(&config.server.client_url) {
        Ok(relying_party) => webauthn.relying_party = relying_party,
        Err(error) if webauthn.enabled => {
            return Err(refused(error.setting.variable, error.reason));
        }
        // It cannot work, and need not while passkeys are off.
        Err(_) => webauthn.relying_party = RelyingPartyConfig::default(),
    }
    Ok(())
}

/// The body, member by member; null is the same as missing.
struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    fn get(&self, member: &str) -> Option<&'a Value> {
        self.0.get(member).filter(|value| !value.is_null())
    }

    fn boolean(&self, member: &'static str) -> Result<Option<bool>, ChangeEnvError> {
        let expected = "true or false";
        self.typed(member, expected, Value::as_bool)
    }

    fn integer(&self, member: &'static str) -> Result<Option<i64>, ChangeEnvError> {
        self.typed(member, "an integer", Value::as_i64)
    }

    fn text(&self, member: &'static str) -> Result<Option<&'a str>, ChangeEnvError> {
        Ok(self.typed(member, "a string", Value::as_str)?.map(trimmed))
    }

    fn comma_list(&self, member: &'static str) -> Result<Option<Vec<String>>, ChangeEnvError> {
        Ok(self.text(member)?.map(parse_list))
    }

    fn list(&self, member: &'static str) -> Result<Option<Vec<String>>, ChangeEnvError> {
        self.typed(member, "an array of strings", |value| {
            let texts = value.as_array()?.iter().map(|text| text.as_str().map(trimmed));
            texts.filter(|text| *text != Some("")).map(|text| text.map(ToOwned::to_owned)).collect()
        })
    }

    fn typed<T>(
        &self,
        member: &'static str,
        expected: &'static str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ChangeEnvError> {
        match self.get(member).map(convert) {
            None => Ok(None),
            Some(Some(value)) => Ok(Some(value)),
            Some(None) => Err(ChangeEnvError::WrongType { member, expected }),
        }
    }

    fn check_those_without_effect(&self) -> Result<(), ChangeEnvError> {
        for member in FLAGS_WITHOUT_EFFECT {
            self.boolean(member)?;
        }
        for member in INTEGERS_WITHOUT_EFFECT {
            self.integer(member)?;
        }
        for member in TEXTS_WITHOUT_EFFECT {
            self.text(member)?;
        }
        Ok(())
    }

    /// A string that holds JSON of its own; empty is none.
    fn json<T: serde::de::DeserializeOwned + Default>(
        &self,
        member: &'static str,
    ) -> Result<Option<T>, ChangeEnvError> {
        let parse =
            |text| serde_json::from_str(text).map_err(|error| refused(member, error.to_string()));
        match self.text(member)? {
            None => Ok(None),
            Some("") => Ok(Some(T::default())),
            Some(text) => parse(text).map(Some),
        }
    }
}

#[cfg(test)]
#[path = "change_env_tests.rs"]
mod tests;
