//! Settings of social sign-in, which is not built yet.

use super::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    // GitHub
    Setting::boolean(
        "github-enabled",
        "AUTH_PROVIDER_GITHUB_ENABLED",
        "false",
        "Sign in with GitHub",
    )
    .not_yet(),
    Setting::text("github-client-id", "AUTH_PROVIDER_GITHUB_CLIENT_ID", "", "Client id at GitHub")
        .not_yet(),
    Setting::secret(
        "github-client-secret",
        "AUTH_PROVIDER_GITHUB_CLIENT_SECRET",
        "Client secret at GitHub",
    )
    .not_yet(),
    Setting::list(
        "github-scope",
        "AUTH_PROVIDER_GITHUB_SCOPE",
        "user:email",
        "Scopes asked of GitHub",
    )
    .not_yet(),
    Setting::text(
        "github-authorization-url",
        "AUTH_PROVIDER_GITHUB_AUTHORIZATION_URL",
        "https://github.com/login/oauth/authorize",
        "Authorization endpoint of GitHub",
    )
    .not_yet(),
    Setting::text(
        "github-token-url",
        "AUTH_PROVIDER_GITHUB_TOKEN_URL",
        "https://github.com/login/oauth/access_token",
        "Token endpoint of GitHub",
    )
    .not_yet(),
    Setting::text(
        "github-user-profile-url",
        "AUTH_PROVIDER_GITHUB_USER_PROFILE_URL",
        "https://api.github.com/user",
        "Profile endpoint of GitHub",
    )
    .not_yet(),
    // Google
    Setting::boolean(
        "google-enabled",
        "AUTH_PROVIDER_GOOGLE_ENABLED",
        "false",
        "Sign in with Google",
    )
    .not_yet(),
    Setting::text("google-client-id", "AUTH_PROVIDER_GOOGLE_CLIENT_ID", "", "Client id at Google")
        .not_yet(),
    Setting::secret(
        "google-client-secret",
        "AUTH_PROVIDER_GOOGLE_CLIENT_SECRET",
        "Client secret at Google",
    )
    .not_yet(),
    Setting::list(
        "google-scope",
        "AUTH_PROVIDER_GOOGLE_SCOPE",
        "openid,email,profile",
        "Scopes asked of Google",
    )
    .not_yet(),
    Setting::list(
        "google-audience",
        "AUTH_PROVIDER_GOOGLE_AUDIENCE",
        "",
        "Audiences of id tokens of Google",
    )
    .not_yet(),
    // Apple
    Setting::boolean("apple-enabled", "AUTH_PROVIDER_APPLE_ENABLED", "false", "Sign in with Apple")
        .not_yet(),
    Setting::text("apple-client-id", "AUTH_PROVIDER_APPLE_CLIENT_ID", "", "Client id at Apple")
        .not_yet(),
    Setting::text("apple-team-id", "AUTH_PROVIDER_APPLE_TEAM_ID", "", "Team id at Apple").not_yet(),
    Setting::text(
        "apple-key-id",
        "AUTH_PROVIDER_APPLE_KEY_ID",
        "",
        "Id of the private key at Apple",
    )
    .not_yet(),
    Setting::secret(
        "apple-private-key",
        "AUTH_PROVIDER_APPLE_PRIVATE_KEY",
        "Private key for Apple, PEM",
    )
    .not_yet(),
    Setting::list(
        "apple-scope",
        "AUTH_PROVIDER_APPLE_SCOPE",
        "name,email",
        "Scopes asked of Apple",
    )
    .not_yet(),
    Setting::list(
        "apple-audience",
        "AUTH_PROVIDER_APPLE_AUDIENCE",
        "",
        "Audiences of id tokens of Apple",
    )
    .not_yet(),
    // LinkedIn
    Setting::boolean(
        "linkedin-enabled",
        "AUTH_PROVIDER_LINKEDIN_ENABLED",
        "false",
        "Sign in with LinkedIn",
    )
    .not_yet(),
    Setting::text(
        "linkedin-client-id",
        "AUTH_PROVIDER_LINKEDIN_CLIENT_ID",
        "",
        "Client id at LinkedIn",
    )
    .not_yet(),
    Setting::secret(
        "linkedin-client-secret",
        "AUTH_PROVIDER_LINKEDIN_CLIENT_SECRET",
        "Client secret at LinkedIn",
    )
    .not_yet(),
    Setting::list(
        "linkedin-scope",
        "AUTH_PROVIDER_LINKEDIN_SCOPE",
        "openid,profile,email",
        "Scopes asked of LinkedIn",
    )
    .not_yet(),
    // Discord
    Setting::boolean(
        "discord-enabled",
        "AUTH_PROVIDER_DISCORD_ENABLED",
        "false",
        "Sign in with Discord",
    )
    .not_yet(),
    Setting::text(
        "discord-client-id",
        "AUTH_PROVIDER_DISCORD_CLIENT_ID",
        "",
        "Client id at Discord",
    )
    .not_yet(),
    Setting::secret(
        "discord-client-secret",
        "AUTH_PROVIDER_DISCORD_CLIENT_SECRET",
        "Client secret at Discord",
    )
    .not_yet(),
    Setting::list(
        "discord-scope",
        "AUTH_PROVIDER_DISCORD_SCOPE",
        "identify,email",
        "Scopes asked of Discord",
    )
    .not_yet(),
    // Spotify
    Setting::boolean(
        "spotify-enabled",
        "AUTH_PROVIDER_SPOTIFY_ENABLED",
        "false",
        "Sign in with Spotify",
    )
    .not_yet(),
    Setting::text(
        "spotify-client-id",
        "AUTH_PROVIDER_SPOTIFY_CLIENT_ID",
        "",
        "Client id at Spotify",
    )
    .not_yet(),
    Setting::secret(
        "spotify-client-secret",
        "AUTH_PROVIDER_SPOTIFY_CLIENT_SECRET",
        "Client secret at Spotify",
    )
    .not_yet(),
    Setting::list(
        "spotify-scope",
        "AUTH_PROVIDER_SPOTIFY_SCOPE",
        "user-read-email,user-read-private",
        "Scopes asked of Spotify",
    )
    .not_yet(),
    // Twitch
    Setting::boolean(
        "twitch-enabled",
        "AUTH_PROVIDER_TWITCH_ENABLED",
        "false",
        "Sign in with Twitch",
    )
    .not_yet(),
    Setting::text("twitch-client-id", "AUTH_PROVIDER_TWITCH_CLIENT_ID", "", "Client id at Twitch")
        .not_yet(),
    Setting::secret(
        "twitch-client-secret",
        "AUTH_PROVIDER_TWITCH_CLIENT_SECRET",
        "Client secret at Twitch",
    )
    .not_yet(),
    Setting::list(
        "twitch-scope",
        "AUTH_PROVIDER_TWITCH_SCOPE",
        "user:read:email",
        "Scopes asked of Twitch",
    )
    .not_yet(),
    // GitLab
    Setting::boolean(
        "gitlab-enabled",
        "AUTH_PROVIDER_GITLAB_ENABLED",
        "false",
        "Sign in with GitLab",
    )
    .not_yet(),
    Setting::text("gitlab-client-id", "AUTH_PROVIDER_GITLAB_CLIENT_ID", "", "Client id at GitLab")
        .not_yet(),
    Setting::secret(
        "gitlab-client-secret",
        "AUTH_PROVIDER_GITLAB_CLIENT_SECRET",
        "Client secret at GitLab",
    )
    .not_yet(),
    Setting::list(
        "gitlab-scope",
        "AUTH_PROVIDER_GITLAB_SCOPE",
        "read_user",
        "Scopes asked of GitLab",
    )
    .not_yet(),
    // Bitbucket
    Setting::boolean(
        "bitbucket-enabled",
        "AUTH_PROVIDER_BITBUCKET_ENABLED",
        "false",
        "Sign in with Bitbucket",
    )
    .not_yet(),
    Setting::text(
        "bitbucket-client-id",
        "AUTH_PROVIDER_BITBUCKET_CLIENT_ID",
        "",
        "Client id at Bitbucket",
    )
    .not_yet(),
    Setting::secret(
        "bitbucket-client-secret",
        "AUTH_PROVIDER_BITBUCKET_CLIENT_SECRET",
        "Client secret at Bitbucket",
    )
    .not_yet(),
    Setting::list(
        "bitbucket-scope",
        "AUTH_PROVIDER_BITBUCKET_SCOPE",
        "account",
        "Scopes asked of Bitbucket",
    )
    .not_yet(),
    // WorkOS
    Setting::boolean(
        "workos-enabled",
        "AUTH_PROVIDER_WORKOS_ENABLED",
        "false",
        "Sign in with WorkOS",
    )
    .not_yet(),
    Setting::text("workos-client-id", "AUTH_PROVIDER_WORKOS_CLIENT_ID", "", "Client id at WorkOS")
        .not_yet(),
    Setting::secret(
        "workos-client-secret",
        "AUTH_PROVIDER_WORKOS_CLIENT_SECRET",
        "Client secret at WorkOS",
    )
    .not_yet(),
    Setting::text(
        "workos-default-organization",
        "AUTH_PROVIDER_WORKOS_DEFAULT_ORGANIZATION",
        "",
        "Default organization at WorkOS",
    )
    .not_yet(),
    Setting::text(
        "workos-default-connection",
        "AUTH_PROVIDER_WORKOS_DEFAULT_CONNECTION",
        "",
        "Default connection at WorkOS",
    )
    .not_yet(),
    Setting::text(
        "workos-default-domain",
        "AUTH_PROVIDER_WORKOS_DEFAULT_DOMAIN",
        "",
        "Default domain at WorkOS",
    )
    .not_yet(),
    // Azure AD
    Setting::boolean(
        "azuread-enabled",
        "AUTH_PROVIDER_AZUREAD_ENABLED",
        "false",
        "Sign in with Azure AD",
    )
    .not_yet(),
    Setting::text(
        "azuread-client-id",
        "AUTH_PROVIDER_AZUREAD_CLIENT_ID",
        "",
        "Client id at Azure AD",
    )
    .not_yet(),
    Setting::secret(
        "azuread-client-secret",
        "AUTH_PROVIDER_AZUREAD_CLIENT_SECRET",
        "Client secret at Azure AD",
    )
    .not_yet(),
    Setting::list(
        "azuread-scope",
        "AUTH_PROVIDER_AZUREAD_SCOPE",
        "email,profile,openid,offline_access",
        "Scopes asked of Azure AD",
    )
    .not_yet(),
    Setting::text("azuread-tenant", "AUTH_PROVIDER_AZUREAD_TENANT", "common", "Tenant at Azure AD")
        .not_yet(),
    // Entra ID
    Setting::boolean(
        "entraid-enabled",
        "AUTH_PROVIDER_ENTRAID_ENABLED",
        "false",
        "Sign in with Entra ID",
    )
    .not_yet(),
    Setting::text(
        "entraid-client-id",
        "AUTH_PROVIDER_ENTRAID_CLIENT_ID",
        "",
        "Client id at Entra ID",
    )
    .not_yet(),
    Setting::secret(
        "entraid-client-secret",
        "AUTH_PROVIDER_ENTRAID_CLIENT_SECRET",
        "Client secret at Entra ID",
    )
    .not_yet(),
    Setting::list(
        "entraid-scope",
        "AUTH_PROVIDER_ENTRAID_SCOPE",
        "email,profile,openid,offline_access",
        "Scopes asked of Entra ID",
    )
    .not_yet(),
    Setting::text("entraid-tenant", "AUTH_PROVIDER_ENTRAID_TENANT", "common", "Tenant at Entra ID")
        .not_yet(),
    // Facebook
    Setting::boolean(
        "facebook-enabled",
        "AUTH_PROVIDER_FACEBOOK_ENABLED",
        "false",
        "Sign in with Facebook",
    )
    .not_yet(),
    Setting::text(
        "facebook-client-id",
        "AUTH_PROVIDER_FACEBOOK_CLIENT_ID",
        "",
        "Client id at Facebook",
    )
    .not_yet(),
    Setting::secret(
        "facebook-client-secret",
        "AUTH_PROVIDER_FACEBOOK_CLIENT_SECRET",
        "Client secret at Facebook",
    )
    .not_yet(),
    Setting::list(
        "facebook-scope",
        "AUTH_PROVIDER_FACEBOOK_SCOPE",
        "email",
        "Scopes asked of Facebook",
    )
    .not_yet(),
    // Windows Live
    Setting::boolean(
        "windowslive-enabled",
        "AUTH_PROVIDER_WINDOWS_LIVE_ENABLED",
        "false",
        "Sign in with Windows Live",
    )
    .not_yet(),
    Setting::text(
        "windowslive-client-id",
        "AUTH_PROVIDER_WINDOWS_LIVE_CLIENT_ID",
        "",
        "Client id at Windows Live",
    )
    .not_yet(),
    Setting::secret(
        "windowslive-client-secret",
        "AUTH_PROVIDER_WINDOWS_LIVE_CLIENT_SECRET",
        "Client secret at Windows Live",
    )
    .not_yet(),
    Setting::list(
        "windowslive-scope",
        "AUTH_PROVIDER_WINDOWS_LIVE_SCOPE",
        "wl.basic,wl.emails",
        "Scopes asked of Windows Live",
    )
    .not_yet(),
    // Strava
    Setting::boolean(
        "strava-enabled",
        "AUTH_PROVIDER_STRAVA_ENABLED",
        "false",
        "Sign in with Strava",
    )
    .not_yet(),
    Setting::text("strava-client-id", "AUTH_PROVIDER_STRAVA_CLIENT_ID", "", "Client id at Strava")
        .not_yet(),
    Setting::secret(
        "strava-client-secret",
        "AUTH_PROVIDER_STRAVA_CLIENT_SECRET",
        "Client secret at Strava",
    )
    .not_yet(),
    Setting::list(
        "strava-scope",
        "AUTH_PROVIDER_STRAVA_SCOPE",
        "profile:read_all",
        "Scopes asked of Strava",
    )
    .not_yet(),
    // Twitter
    Setting::boolean(
        "twitter-enabled",
        "AUTH_PROVIDER_TWITTER_ENABLED",
        "false",
        "Sign in with Twitter",
    )
    .not_yet(),
    Setting::text(
        "twitter-consumer-key",
        "AUTH_PROVIDER_TWITTER_CONSUMER_KEY",
        "",
        "Consumer key at Twitter",
    )
    .not_yet(),
    Setting::secret(
        "twitter-consumer-secret",
        "AUTH_PROVIDER_TWITTER_CONSUMER_SECRET",
        "Consumer secret at Twitter",
    )
    .not_yet(),
    // Any other
    Setting::json(
        "custom-providers",
        "AUTH_PROVIDER_CUSTOM",
        "More OpenID Connect and OAuth2 providers, a JSON object",
    )
    .hidden()
    .without_flag()
    .not_yet(),
];
