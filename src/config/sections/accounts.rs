//! Who may sign up and in, and what new accounts look like.

use crate::domain::email_access::{EmailAccess, EmailLists};
use crate::domain::gravatar::Gravatar;
use crate::domain::locale::Locales;
use crate::domain::redirect::{RedirectRuleError, RedirectRules};
use crate::domain::roles::RoleRules;

use crate::config::reading::Reader;
use crate::config::rows;
use crate::settings::Setting;

/// Who may sign up and in, and what new accounts look like.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, one for each setting")]
pub struct AccountsConfig {
    /// `AUTH_DISABLE_SIGNUP`.
    pub disable_signup: bool,
    /// `AUTH_DISABLE_NEW_USERS`.
    pub disable_new_users: bool,
    /// `AUTH_ANONYMOUS_USERS_ENABLED`.
    pub anonymous_enabled: bool,
    /// `AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED`.
    pub email_verification_required: bool,
    /// `AUTH_ADDRESS_PROOF_CLEARS` (ours).
    pub proof_clears: ProofClears,
    /// `AUTH_USER_DEFAULT_ROLE` and `AUTH_USER_DEFAULT_ALLOWED_ROLES`.
    pub roles: RoleRules,
    /// `AUTH_LOCALE_DEFAULT` and `AUTH_LOCALE_ALLOWED_LOCALES`.
    pub locales: Locales,
    /// `AUTH_METADATA_MAX_BYTES` (ours), default 16 KiB.
    pub metadata_max_bytes: usize,
    /// `AUTH_GRAVATAR_*`.
    pub gravatar: Gravatar,
    /// `AUTH_ACCESS_CONTROL_*` for addresses.
    pub email_access: EmailAccess,
    /// `AUTH_CLIENT_URL` and `AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS`.
    pub redirects: RedirectRules,
    /// What the rules above were made from.
    pub lists: AccountLists,
}

/// The lists as configured, from which the rules are made again when one of them changes.
#[derive(Clone, Debug, Default)]
pub struct AccountLists {
    /// `AUTH_USER_DEFAULT_ALLOWED_ROLES`.
    pub roles: Vec<String>,
    /// `AUTH_LOCALE_ALLOWED_LOCALES`.
    pub locales: Vec<String>,
    /// `AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS`.
    pub redirects: Vec<String>,
    /// `AUTH_ACCESS_CONTROL_*` for addresses.
    pub emails: EmailLists,
}

/// `AUTH_ADDRESS_PROOF_CLEARS`: what the first proof of an address takes from an account
/// (docs/reference-behaviour.md#first-proof-is-a-new-owner).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofClears {
    /// Nothing.
    Never,
    /// What was set up before, if nobody could use the account yet; else sessions end.
    Pending,
    /// What was set up before.
    Always,
}

impl AccountsConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>, client_url: &str) -> Self {
        let lists = AccountLists {
            roles: reader.list(&rows::accounts::USER_DEFAULT_ALLOWED_ROLES),
            locales: reader.list(&rows::accounts::LOCALE_ALLOWED_LOCALES),
            redirects: reader.list(&rows::accounts::ACCESS_CONTROL_ALLOWED_REDIRECT_URLS),
            emails: EmailLists {
                blocked_emails: reader.list(&rows::accounts::ACCESS_CONTROL_BLOCKED_EMAILS),
                allowed_emails: reader.list(&rows::accounts::ACCESS_CONTROL_ALLOWED_EMAILS),
                blocked_domains: reader.list(&rows::accounts::ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS),
                allowed_domains: reader.list(&rows::accounts::ACCESS_CONTROL_ALLOWED_EMAIL_DOMAINS),
            },
        };
        Self {
            disable_signup: reader.boolean(&rows::accounts::DISABLE_SIGNUP),
            disable_new_users: reader.boolean(&rows::accounts::DISABLE_NEW_USERS),
            anonymous_enabled: reader.boolean(&rows::accounts::ANONYMOUS_USERS_ENABLED),
            email_verification_required: reader
                .boolean(&rows::accounts::EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED),
            proof_clears: match reader.choice(&rows::accounts::ADDRESS_PROOF_CLEARS) {
                Some("never") => ProofClears::Never,
                Some("always") => ProofClears::Always,
                _ => ProofClears::Pending,
            },
            roles: read_roles(reader, lists.roles.clone()),
            locales: read_locales(reader, lists.locales.clone()),
            metadata_max_bytes: reader.number(&rows::accounts::METADATA_MAX_BYTES, 2..=1 << 30),
            gravatar: Gravatar {
                enabled: reader.boolean(&rows::accounts::GRAVATAR_ENABLED),
                default: reader
                    .choice(&rows::accounts::GRAVATAR_DEFAULT)
                    .unwrap_or_default()
                    .to_owned(),
                rating: reader
                    .choice(&rows::accounts::GRAVATAR_RATING)
                    .unwrap_or_default()
                    .to_owned(),
            },
            email_access: EmailAccess::new(lists.emails.clone()),
            redirects: read_redirects(reader, client_url, &lists.redirects),
            lists,
        }
    }
}

fn read_roles(reader: &mut Reader<'_>, allowed: Vec<String>) -> RoleRules {
    let default = reader.text(&rows::accounts::USER_DEFAULT_ROLE);
    if let Err(reason) = check_role(&default) {
        reader.refuse(&rows::accounts::USER_DEFAULT_ROLE, reason);
    }
    for role in &allowed {
        if let Err(reason) = check_role(role) {
            reader.refuse(&rows::accounts::USER_DEFAULT_ALLOWED_ROLES, reason);
        }
    }
    RoleRules::new(default, allowed)
}

/// A role has to be a row and a claim: not empty, and without what Postgres cannot store.
pub(in crate::config) fn check_role(role: &str) -> Result<(), &'static str> {
    if role.is_empty() {
        Err("a role must not be empty")
    } else if role.contains('\0') {
        Err("a role must not contain a zero byte")
    } else {
        Ok(())
    }
}

fn read_locales(reader: &mut Reader<'_>, allowed: Vec<String>) -> Locales {
    let default = reader.text(&rows::accounts::LOCALE_DEFAULT);
    if let Err(reason) = check_locale(&default) {
        reader.refuse(&rows::accounts::LOCALE_DEFAULT, reason);
    }
    for locale in &allowed {
        if let Err(reason) = check_locale(locale) {
            reader.refuse(&rows::accounts::LOCALE_ALLOWED_LOCALES, reason);
        }
    }
    Locales::new(default, allowed)
}

/// Two letters fit every version of the database, three the latest ones.
pub(in crate::config) fn check_locale(locale: &str) -> Result<(), String> {
    match locale.chars().count() {
        2 | 3 if !locale.contains('\0') => Ok(()),
        _ => Err(format!("\"{}\" is not a locale of 2 or 3 letters", locale.escape_debug())),
    }
}

fn read_redirects(reader: &mut Reader<'_>, client_url: &str, allowed: &[String]) -> RedirectRules {
    for pattern in allowed {
        if pattern.trim_matches(['*', '/']).is_empty() {
            reader.warn(
                &rows::accounts::ACCESS_CONTROL_ALLOWED_REDIRECT_URLS,
                format!("{pattern} sends refresh tokens to any address that a link names"),
            );
        }
    }
    match RedirectRules::new(client_url, allowed) {
        Ok(rules) => rules,
        Err(error) => {
            reader.refuse(setting_of(client_url), error);
            RedirectRules::new("", &[]).expect("no pattern, nothing to refuse")
        }
    }
}

/// Which of the two settings has a pattern that cannot be used.
fn setting_of(client_url: &str) -> &'static Setting {
    match RedirectRules::new(client_url, &[]) {
        Ok(_) => &rows::accounts::ACCESS_CONTROL_ALLOWED_REDIRECT_URLS,
        Err(RedirectRuleError { .. }) => &rows::server::CLIENT_URL,
    }
}
