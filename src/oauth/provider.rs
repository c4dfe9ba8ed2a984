//! What makes one provider differ from the next: data, and one mapping function.

use super::profile::{Profile, ProfileError, ProviderResponses};
use crate::settings::Setting;

/// A provider as this server knows it, before anything is configured.
#[derive(Debug)]
pub struct Provider {
    /// Path segment, and `provider_id` of `auth.user_providers`.
    pub id: &'static str,
    /// `AUTH_PROVIDER_<variable>_…`.
    pub variable: &'static str,
    /// For people.
    pub title: &'static str,
    /// Its rows of the table of settings.
    pub settings: &'static [Setting],
    pub protocol: Protocol,
    /// Parameters of the authorization request beyond those of RFC 6749 and RFC 7636.
    pub authorization_parameters: &'static [(&'static str, &'static str)],
    pub source: Source,
    /// Header of profile requests that carries the client id.
    pub client_id_header: Option<&'static str>,
    /// Whether an application may name an organization or a connection (`WorkOS`).
    pub takes_organizations: bool,
    /// Whether a nonce is sent when `openid` is asked for.
    pub nonce: bool,
    /// Makes a profile of what the provider returned.
    pub profile: fn(&ProviderResponses) -> Result<Profile, ProfileError>,
}

impl Provider {
    /// This setting of the provider, if it has one.
    pub fn find_setting(&self, part: SettingPart) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| {
            let rest = setting.variable.strip_prefix("AUTH_PROVIDER_");
            let rest = rest.and_then(|rest| rest.strip_prefix(self.variable));
            rest.and_then(|rest| rest.strip_prefix('_')) == Some(part.suffix())
        })
    }

    /// A setting that this provider has for certain, as all of its protocol or source do.
    pub fn get_setting(&self, part: SettingPart) -> &'static Setting {
        self.find_setting(part).unwrap_or_else(|| panic!("{} has no setting {part:?}", self.id))
    }
}

/// What a setting of a provider is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingPart {
    Enabled,
    ClientId,
    ClientSecret,
    ConsumerKey,
    ConsumerSecret,
    Scope,
    AuthorizationUrl,
    TokenUrl,
    RequestTokenUrl,
    TokenAuthStyle,
    Pkce,
    UserProfileUrl,
    UserEmailsUrl,
    TrustEmail,
    Tenant,
    TeamId,
    KeyId,
    PrivateKey,
    Audience,
    Issuer,
    JwksUrl,
    DefaultOrganization,
    DefaultConnection,
    DefaultDomain,
}

impl SettingPart {
    /// The end of the variable's name.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::ClientId => "CLIENT_ID",
            Self::ClientSecret => "CLIENT_SECRET",
            Self::ConsumerKey => "CONSUMER_KEY",
            Self::ConsumerSecret => "CONSUMER_SECRET",
            Self::Scope => "SCOPE",
            Self::AuthorizationUrl => "AUTHORIZATION_URL",
            Self::TokenUrl => "TOKEN_URL",
            Self::RequestTokenUrl => "REQUEST_TOKEN_URL",
            Self::TokenAuthStyle => "TOKEN_AUTH_STYLE",
            Self::Pkce => "PKCE",
            Self::UserProfileUrl => "USER_PROFILE_URL",
            Self::UserEmailsUrl => "USER_EMAILS_URL",
            Self::TrustEmail => "TRUST_EMAIL",
            Self::Tenant => "TENANT",
            Self::TeamId => "TEAM_ID",
            Self::KeyId => "KEY_ID",
            Self::PrivateKey => "PRIVATE_KEY",
            Self::Audience => "AUDIENCE",
            Self::Issuer => "ISSUER",
            Self::JwksUrl => "JWKS_URL",
            Self::DefaultOrganization => "DEFAULT_ORGANIZATION",
            Self::DefaultConnection => "DEFAULT_CONNECTION",
            Self::DefaultDomain => "DEFAULT_DOMAIN",
        }
    }
}

/// How a provider is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    OAuth2,
    /// RFC 5849.
    OAuth1,
}

/// Where identity comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The profile endpoint.
    Profile,
    /// The profile endpoint, and another one for e-mail addresses.
    ProfileAndEmails,
    /// The id token of the token response, without which there is no sign-in.
    IdToken,
}

/// Whether a code challenge is sent when nothing is configured.
macro_rules! pkce_default {
    () => {
        "true"
    };
    ($pkce:literal) => {
        $pkce
    };
}

/// The settings that every provider of `OAuth` 2 has, then those that are its own.
///
/// A macro, since names of settings are constants and functions cannot join texts into one.
macro_rules! oauth2_settings {
    (
        $flag:literal, $variable:literal, $title:literal,
        $(own_urls: $own:literal,)?
        scope: $scope:literal,
        authorization_url: $authorization:literal,
        token_url: $token:literal,
        $(pkce: $pkce:literal,)?
        style: $style:literal
        $(, $more:expr)* $(,)?
    ) => {
        &[
            $crate::settings::Setting::boolean(
                concat!($flag, "-enabled"),
                concat!("AUTH_PROVIDER_", $variable, "_ENABLED"),
                "false",
                concat!("Sign in with ", $title),
            )
            .live(),
            $crate::settings::Setting::text(
                concat!($flag, "-client-id"),
                concat!("AUTH_PROVIDER_", $variable, "_CLIENT_ID"),
                "",
                concat!("Client id at ", $title),
            )
            .live(),
            $crate::settings::Setting::list(
                concat!($flag, "-scope"),
                concat!("AUTH_PROVIDER_", $variable, "_SCOPE"),
                $scope,
                concat!("Scopes asked of ", $title),
            )
            .live(),
            $crate::settings::Setting::text(
                concat!($flag, "-authorization-url"),
                concat!("AUTH_PROVIDER_", $variable, "_AUTHORIZATION_URL"),
                $authorization,
                concat!("Where people consent at ", $title),
            )
            .own_if(true $(&& $own)?)
            .live(),
            $crate::settings::Setting::text(
                concat!($flag, "-token-url"),
                concat!("AUTH_PROVIDER_", $variable, "_TOKEN_URL"),
                $token,
                concat!("Token endpoint of ", $title),
            )
            .own_if(true $(&& $own)?)
            .live(),
            $crate::settings::Setting::choice(
                concat!($flag, "-token-auth-style"),
                concat!("AUTH_PROVIDER_", $variable, "_TOKEN_AUTH_STYLE"),
                &["basic", "body"],
                $style,
                concat!("How the client id and secret travel to the token endpoint of ", $title),
            )
            .own()
            .live(),
            $crate::settings::Setting::boolean(
                concat!($flag, "-pkce"),
                concat!("AUTH_PROVIDER_", $variable, "_PKCE"),
                $crate::oauth::provider::pkce_default!($($pkce)?),
                concat!("Send a code challenge to ", $title),
            )
            .own()
            .live(),
            $($more,)*
        ]
    };
}

/// The secret that providers hand out with the client id.
macro_rules! client_secret {
    ($flag:literal, $variable:literal, $title:literal) => {
        $crate::settings::Setting::secret(
            concat!($flag, "-client-secret"),
            concat!("AUTH_PROVIDER_", $variable, "_CLIENT_SECRET"),
            concat!("Client secret at ", $title),
        )
        .live()
    };
}

/// Where profiles are read.
macro_rules! profile_url {
    ($flag:literal, $variable:literal, $title:literal, $url:literal $(, own: $own:literal)?) => {
        $crate::settings::Setting::text(
            concat!($flag, "-user-profile-url"),
            concat!("AUTH_PROVIDER_", $variable, "_USER_PROFILE_URL"),
            $url,
            concat!("Profile endpoint of ", $title),
        )
        .own_if(true $(&& $own)?)
        .live()
    };
}

/// Where addresses are read, for providers that keep them apart.
macro_rules! emails_url {
    ($flag:literal, $variable:literal, $title:literal) => {
        $crate::settings::Setting::text(
            concat!($flag, "-user-emails-url"),
            concat!("AUTH_PROVIDER_", $variable, "_USER_EMAILS_URL"),
            "",
            concat!(
                "Endpoint for addresses of ",
                $title,
                "; empty: the profile endpoint and /emails"
            ),
        )
        .own()
        .live()
    };
}

/// For providers that do not tell whether an address is verified.
macro_rules! trust_email {
    ($flag:literal, $variable:literal, $title:literal) => {
        $crate::settings::Setting::boolean(
            concat!($flag, "-trust-email"),
            concat!("AUTH_PROVIDER_", $variable, "_TRUST_EMAIL"),
            "false",
            concat!(
                "Take every address from ",
                $title,
                " as verified, which it does not tell: it may then open existing accounts"
            ),
        )
        .own()
        .live()
    };
}

pub(crate) use {
    client_secret, emails_url, oauth2_settings, pkce_default, profile_url, trust_email,
};
