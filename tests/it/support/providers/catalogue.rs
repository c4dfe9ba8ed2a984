//! What is particular to each provider, from its own documentation.

/// How a token endpoint wants its clients to authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    Either,
    BasicOnly,
    BodyOnly,
}

/// How a token endpoint writes its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    /// Always a form.
    Form,
    /// A form, unless JSON is asked for.
    FormUnlessAsked,
}

/// `expires_in`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    Number,
    Text,
    Absent,
}

/// The habits of a token endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenShape {
    pub(crate) format: Format,
    pub(crate) token_type: bool,
    pub(crate) expiry: Expiry,
    /// Scopes as an array; else as a text.
    pub(crate) scope_list: bool,
    pub(crate) refresh_token: RefreshToken,
    pub(crate) id_token: IdToken,
}

/// What becomes of `refresh_token`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshToken {
    Absent,
    /// One for good.
    Kept,
    /// One that is replaced when it is used.
    Rotated,
}

/// What `id_token` of a token response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdToken {
    Absent,
    /// Present as the real one has it, but nobody is given the key to check it.
    Unverifiable,
    Signed,
}

/// One provider.
#[derive(Debug)]
pub(crate) struct Provider {
    /// In paths and rows.
    pub(crate) id: &'static str,
    /// In the names of settings: `AUTH_PROVIDER_<this>_…`.
    pub(crate) setting: &'static str,
    /// What is asked for when nothing is configured; none at all for some.
    pub(crate) scope: Option<&'static str>,
    /// What its authorization URL has in its query already.
    pub(crate) fixed_query: &'static str,
    /// The same of its profile URL.
    pub(crate) profile_query: &'static str,
    /// What its authorization requests have besides the usual.
    pub(crate) extra: &'static [(&'static str, &'static str)],
    pub(crate) client_auth: ClientAuth,
    /// It takes PKCE, or does not know it and ignores it.
    pub(crate) takes_pkce: bool,
    pub(crate) shape: TokenShape,
}

const PLAIN: TokenShape = TokenShape {
    format: Format::Json,
    token_type: true,
    expiry: Expiry::Number,
    scope_list: false,
    refresh_token: RefreshToken::Kept,
    id_token: IdToken::Absent,
};
const MICROSOFT: &str = "email profile openid offline_access";

const fn provider(
    id: &'static str,
    setting: &'static str,
    scope: &'static str,
    client_auth: ClientAuth,
) -> Provider {
    Provider {
        id,
        setting,
        scope: Some(scope),
        fixed_query: "",
        profile_query: "",
        extra: &[],
        client_auth,
        takes_pkce: true,
        shape: PLAIN,
    }
}

/// The sixteen of the contract.
pub(crate) const PROVIDERS: [Provider; 16] = [
    Provider {
        extra: &[("response_mode", "form_post"), ("response_type", "code id_token")],
        shape: TokenShape { id_token: IdToken::Signed, ..PLAIN },
        ..provider("apple", "APPLE", "name email", ClientAuth::BodyOnly)
    },
    Provider {
        fixed_query: "?prompt=select_account",
        extra: &[("prompt", "select_account")],
        shape: TokenShape { expiry: Expiry::Text, id_token: IdToken::Unverifiable, ..PLAIN },
        ..provider("azuread", "AZUREAD", MICROSOFT, ClientAuth::Either)
    },
    provider("bitbucket", "BITBUCKET", "account", ClientAuth::Either),
    provider("discord", "DISCORD", "identify email", ClientAuth::Either),
    Provider {
        shape: TokenShape {
            refresh_token: RefreshToken::Rotated,
            id_token: IdToken::Unverifiable,
            ..PLAIN
        },
        ..provider("entraid", "ENTRAID", MICROSOFT, ClientAuth::Either)
    },
    Provider {
        profile_query: "?fields=id,name,email,picture",
        ..provider("facebook", "FACEBOOK", "email", ClientAuth::BodyOnly)
    },
    Provider {
        shape: TokenShape { format: Format::FormUnlessAsked, ..PLAIN },
        ..provider("github", "GITHUB", "user:email", ClientAuth::BodyOnly)
    },
    Provider {
        shape: TokenShape { refresh_token: RefreshToken::Rotated, ..PLAIN },
        ..provider("gitlab", "GITLAB", "read_user", ClientAuth::Either)
    },
    Provider {
        shape: TokenShape { id_token: IdToken::Signed, ..PLAIN },
        ..provider("google", "GOOGLE", "openid email profile", ClientAuth::Either)
    },
    Provider {
        // "client authentication failed", as soon as a verifier is among the fields.
        takes_pkce: false,
        shape: TokenShape { id_token: IdToken::Unverifiable, ..PLAIN },
        ..provider("linkedin", "LINKEDIN", "openid profile email", ClientAuth::BodyOnly)
    },
    provider("spotify", "SPOTIFY", "user-read-email user-read-private", ClientAuth::BasicOnly),
    Provider {
        extra: &[("approval_prompt", "force")],
        ..provider("strava", "STRAVA", "profile:read_all", ClientAuth::BodyOnly)
    },
    Provider {
        shape: TokenShape { scope_list: true, ..PLAIN },
        ..provider("twitch", "TWITCH", "user:read:email", ClientAuth::Either)
    },
    // OAuth 1.0a: signs instead, and has no scopes.
    Provider {
        scope: None,
        profile_query: "?include_email=true",
        ..provider("twitter", "TWITTER", "", ClientAuth::Either)
    },
    provider("windowslive", "WINDOWS_LIVE", "wl.basic wl.emails", ClientAuth::BodyOnly),
    Provider {
        scope: None,
        shape: TokenShape {
            token_type: false,
            expiry: Expiry::Absent,
            refresh_token: RefreshToken::Absent,
            ..PLAIN
        },
        ..provider("workos", "WORKOS", "", ClientAuth::BodyOnly)
    },
];

/// The generic one, which only `OpenID` Connect describes.
pub(super) const CUSTOM: Provider = Provider {
    shape: TokenShape { id_token: IdToken::Signed, ..PLAIN },
    ..provider("c:acme", "CUSTOM", "openid email profile", ClientAuth::Either)
};

/// One of them.
pub(crate) fn find(id: &str) -> &'static Provider {
    PROVIDERS.iter().find(|provider| provider.id == id).expect("one of the sixteen")
}

/// The client id that it knows the server by.
pub(super) fn client_id(id: &str) -> String {
    match id {
        "apple" => "com.example.web".to_owned(),
        "c:acme" => "acme-client".to_owned(),
        other => format!("{other} client/1"),
    }
}

/// The secret that goes with it; with characters that must be encoded wherever it is sent.
pub(super) fn secret(id: &str) -> String {
    format!("{id}: s3cret+%2F&=ü")
}
