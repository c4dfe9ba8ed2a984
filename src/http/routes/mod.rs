//! One file a path; this one says which path is where.

pub mod change_env;
pub mod dev_inbox;
pub mod elevate_webauthn;
pub mod elevate_webauthn_verify;
pub mod healthz;
pub mod id_tokens;
pub mod jwks;
pub mod link_provider;
pub mod mfa_totp_generate;
pub mod pat;
pub mod provider_tokens;
pub mod send_verification_email;
pub mod sign_in_anonymous;
pub mod sign_in_email_password;
pub mod sign_in_mfa_totp;
pub mod sign_in_otp_email;
pub mod sign_in_otp_email_verify;
pub mod sign_in_passwordless_email;
pub mod sign_in_passwordless_sms;
pub mod sign_in_passwordless_sms_otp;
pub mod sign_in_pat;
pub mod sign_in_provider;
pub mod sign_in_provider_callback;
pub mod sign_in_webauthn;
pub mod sign_in_webauthn_verify;
pub mod sign_out;
pub mod sign_up_email_password;
pub mod sign_up_provider;
pub mod sign_up_webauthn;
pub mod sign_up_webauthn_verify;
pub mod token;
pub mod token_exchange;
pub mod token_verify;
pub mod user;
pub mod user_deanonymize;
pub mod user_email_change;
pub mod user_mfa;
pub mod user_password;
pub mod user_password_reset;
pub mod user_webauthn_add;
pub mod user_webauthn_keys;
pub mod user_webauthn_verify;
pub mod verify;
pub mod version;

use http::Method;
use serde::Serialize;

use super::ApiResponse;
use super::router::{HandlerResult, RouteError, Router};
use crate::app::App;
use crate::config::{MailTransport, ServerConfig};
use crate::flows::session::IssuedSession;

/// Every route of the contract that this version has, and the few beside it.
pub fn router(server: &ServerConfig, mail: &MailTransport) -> Result<Router<App>, RouteError> {
    let mut routes = Router::builder(&server.api_prefix)
        .route(Method::GET, "/.well-known/jwks.json", jwks::get)
        .route(Method::GET, "/healthz", healthz::get)
        .route(Method::HEAD, "/healthz", healthz::head)
        .route(Method::GET, "/mfa/totp/generate", mfa_totp_generate::get)
        .route(Method::POST, "/pat", pat::post)
        .route(Method::POST, "/signin/anonymous", sign_in_anonymous::post)
        .route(Method::POST, "/signin/email-password", sign_in_email_password::post)
        .route(Method::POST, "/signin/mfa/totp", sign_in_mfa_totp::post)
        .route(Method::POST, "/signin/otp/email", sign_in_otp_email::post)
        .route(Method::POST, "/signin/otp/email/verify", sign_in_otp_email_verify::post)
        .route(Method::POST, "/signin/passwordless/email", sign_in_passwordless_email::post)
        .route(Method::POST, "/signin/passwordless/sms", sign_in_passwordless_sms::post)
        .route(Method::POST, "/signin/passwordless/sms/otp", sign_in_passwordless_sms_otp::post)
        .route(Method::POST, "/signin/pat", sign_in_pat::post)
        .route(Method::POST, "/signout", sign_out::post)
        .route(Method::POST, "/signup/email-password", sign_up_email_password::post)
        .route(Method::POST, "/token", token::post)
        .route(Method::POST, "/token/verify", token_verify::post)
        .route(Method::GET, "/user", user::get)
        .route(Method::POST, "/user/deanonymize", user_deanonymize::post)
        .route(Method::POST, "/user/email/change", user_email_change::post)
        .route(Method::POST, "/user/email/send-verification-email", send_verification_email::post)
        .route(Method::POST, "/user/mfa", user_mfa::post)
        .route(Method::POST, "/user/password", user_password::post)
        .route(Method::POST, "/user/password/reset", user_password_reset::post)
        .route(Method::POST, "/elevate/webauthn", elevate_webauthn::post)
        .route(Method::POST, "/elevate/webauthn/verify", elevate_webauthn_verify::post)
        .route(Method::POST, "/link/idtoken", id_tokens::link)
        .route(Method::POST, "/link/provider/{provider}", link_provider::post)
        .route(Method::POST, "/signin/idtoken", id_tokens::sign_in)
        .route(Method::GET, "/signin/provider/{provider}", sign_in_provider::get)
        .route(Method::GET, "/signin/provider/{provider}/callback", sign_in_provider_callback::get)
        .route(
            Method::POST,
            "/signin/provider/{provider}/callback",
            sign_in_provider_callback::post,
        )
        .route(Method::GET, "/signin/provider/{provider}/callback/tokens", provider_tokens::get)
        .route(Method::POST, "/signup/idtoken", id_tokens::sign_up)
        .route(Method::GET, "/signup/provider/{provider}", sign_up_provider::get)
        .route(Method::POST, "/token/exchange", token_exchange::post)
        .route(Method::POST, "/token/provider/{provider}", provider_tokens::post)
        .route(Method::POST, "/signin/webauthn", sign_in_webauthn::post)
        .route(Method::POST, "/signin/webauthn/verify", sign_in_webauthn_verify::post)
        .route(Method::POST, "/signup/webauthn", sign_up_webauthn::post)
        .route(Method::POST, "/signup/webauthn/verify", sign_up_webauthn_verify::post)
        .route(Method::POST, "/user/webauthn/add", user_webauthn_add::post)
        .route(Method::GET, "/user/webauthn/keys", user_webauthn_keys::get)
        .route(Method::PATCH, "/user/webauthn/keys/{id}", user_webauthn_keys::patch)
        .route(Method::DELETE, "/user/webauthn/keys/{id}", user_webauthn_keys::delete)
        .route(Method::POST, "/user/webauthn/verify", user_webauthn_verify::post)
        .route(Method::GET, "/verify", verify::get)
        .route(Method::GET, "/version", version::get)
        .route_outside_prefix(Method::GET, "/healthz", healthz::get_outside_prefix)
        .route_outside_prefix(Method::HEAD, "/healthz", healthz::head)
        .route_outside_prefix(Method::GET, "/livez", healthz::live)
        .route_outside_prefix(Method::HEAD, "/livez", healthz::live);
    if server.change_env {
        routes = routes.route(Method::POST, "/change-env", change_env::post);
    }
    if matches!(mail, MailTransport::Capture { .. }) {
        routes = routes
            .route_outside_prefix(Method::GET, "/dev/inbox", dev_inbox::get)
            .route_outside_prefix(Method::GET, "/dev/inbox.json", dev_inbox::get_json)
            .route_outside_prefix(Method::GET, "/dev/inbox/{id}", dev_inbox::get_message);
    }
    routes.build()
}

/// `{"session": …}`, or `{}` where there is none.
fn session_payload(session: Option<&IssuedSession>) -> HandlerResult {
    #[derive(Serialize)]
    struct SessionPayload<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<&'a IssuedSession>,
    }
    ApiResponse::json(&SessionPayload { session })
}
