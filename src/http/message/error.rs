//! The single mapping from a failure to the contract's error body.

use std::time::Duration;

use http::header::{ACCEPT_ENCODING, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::domain::database_error::{Meaning, Origin};
use crate::domain::error::{AuthError, ErrorCode, chain};
use crate::domain::json;
use crate::domain::redirect::with_query;
use crate::http::{ApiResponse, RequestId};
use crate::metrics::http::Failure;

/// When clients should try again while Postgres is away.
const OUTAGE_RETRY: Duration = Duration::from_secs(1);

/// `ErrorResponse` of the contract; the order of the members is the reference's.
#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'static str,
    message: &'a str,
    status: u16,
}

/// What the client is told about a failure; what it is not told goes to the log, once, here.
///
/// `conceal` is `AUTH_CONCEAL_ERRORS`.
pub fn error_response(error: &AuthError, conceal: bool, request_id: &RequestId) -> ApiResponse {
    let code = error.code().concealed(conceal);
    log(error, request_id);
    if let Some(message) = raised(error, conceal) {
        return response(code, &message);
    }
    match error {
        AuthError::Refused(_) | AuthError::Provider { .. } => code_response(code),
        AuthError::InvalidRequest(reason) => response(code, reason),
        AuthError::Unavailable { retry_after, .. } | AuthError::TooManyAttempts { retry_after } => {
            code_response(code).with_header(RETRY_AFTER, seconds(*retry_after))
        }
        AuthError::Storage(_) | AuthError::Internal { .. } => {
            if code == ErrorCode::ServiceUnavailable {
                return code_response(code).with_header(RETRY_AFTER, seconds(OUTAGE_RETRY));
            }
            code_response(code)
        }
    }
}

/// The same for flows that end with a redirect: the target is told in its query.
pub fn error_redirect(
    error: &AuthError,
    target: &str,
    details: &[(&str, &str)],
    conceal: bool,
    request_id: &RequestId,
) -> Result<ApiResponse, AuthError> {
    log(error, request_id);
    let row = error.code().concealed(conceal).row();
    let raised = raised(error, conceal);
    let message = raised.as_deref().unwrap_or(row.message);
    let mut pairs = vec![("error", row.code), ("errorDescription", message)];
    pairs.extend_from_slice(details);
    let response = ApiResponse::redirect(&with_query(target, &pairs))?;
    Ok(ApiResponse { failure: Failure::of(error), ..response })
}

/// The words of an application's function that refused the request, which wrote them for its users.
/// Not where errors are concealed: they may tell more of an account than ours would.
fn raised(error: &AuthError, conceal: bool) -> Option<String> {
    match error {
        AuthError::Storage(cause) if !conceal => match Meaning::of(cause) {
            Meaning::Raised(message) => Some(message),
            Meaning::Outage | Meaning::Value | Meaning::Fault => None,
        },
        _ => None,
    }
}

/// What the client is not told.
fn log(error: &AuthError, request_id: &RequestId) {
    match error {
        AuthError::Refused(_)
        | AuthError::InvalidRequest(_)
        | AuthError::TooManyAttempts { .. } => {}
        AuthError::Unavailable { what, .. } => tracing::warn!(%request_id, what, "request shed"),
        AuthError::Provider { provider, .. } => {
            tracing::warn!(%request_id, provider, error = %chain(error), "provider failed");
        }
        AuthError::Storage(cause) => log_storage(error, cause, request_id),
        AuthError::Internal { .. } => {
            tracing::error!(%request_id, error = %chain(error), "request failed");
        }
    }
}

/// The schema, table, constraint and function say whose error it is: ours or an application's.
fn log_storage(error: &AuthError, cause: &sqlx::Error, request_id: &RequestId) {
    let Origin { message, code, schema, table, column, constraint, context } = Origin::of(cause);
    let error = match (message, code) {
        (None, Some(_)) => "Postgres refused a value".to_owned(),
        _ => chain(error),
    };
    match Meaning::of(cause) {
        Meaning::Value | Meaning::Raised(_) => tracing::warn!(
            %request_id, error, sqlstate = code, schema, table, column, constraint, context,
            "refused by the database"
        ),
        Meaning::Outage | Meaning::Fault => tracing::error!(
            %request_id, error, sqlstate = code, schema, table, column, constraint, context,
            "request failed"
        ),
    }
}

/// The body of a code with its own message from the table.
pub fn code_response(code: ErrorCode) -> ApiResponse {
    response(code, code.row().message)
}

/// The response to a body in a coding that is not undone here.
pub fn unsupported_coding(name: &str) -> ApiResponse {
    let message = format!("The content encoding {name} is not supported, send the body as it is");
    response(ErrorCode::UnsupportedContentEncoding, &message)
        .with_header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
}

fn response(code: ErrorCode, message: &str) -> ApiResponse {
    let row = code.row();
    let body = ErrorBody { error: row.code, message, status: row.status };
    let body = json::body(&body).expect("two strings and a number can be serialised");
    let status = StatusCode::from_u16(row.status).expect("the table has valid statuses only");
    ApiResponse::raw_json(body).with_status(status)
}

/// Whole seconds, at least one: clients that get 0 try again at once.
pub(crate) fn seconds(duration: Duration) -> HeaderValue {
    let rounded_up = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    HeaderValue::from(rounded_up.max(1))
}

#[cfg(test)]
mod tests {
    use crate::http::message::error::*;

    fn text(error: &AuthError, conceal: bool) -> (u16, String) {
        let response = error_response(error, conceal, &RequestId::fresh());
        (response.status.as_u16(), String::from_utf8(response.body.to_vec()).unwrap())
    }

    #[test]
    fn the_body_has_three_members_in_order_and_a_line_feed() {
        let (status, body) = text(&ErrorCode::InvalidEmailPassword.into(), false);
        assert_eq!(status, 401);
        assert_eq!(
            body,
            "{\"error\":\"invalid-email-password\",\"message\":\"Incorrect email or password\",\"status\":401}\n"
        );
    }

    #[test]
    fn concealment_replaces_sensitive_codes_as_a_whole_and_leaves_others() {
        let (status, body) = text(&ErrorCode::DisabledUser.into(), true);
        assert_eq!(status, 400);
        assert_eq!(
            body,
            "{\"error\":\"invalid-request\",\"message\":\"The request payload is incorrect\",\"status\":400}\n"
        );
        assert_eq!(text(&ErrorCode::DisabledEndpoint.into(), true).0, 409);
    }

    #[test]
    fn the_reason_of_an_invalid_request_is_shown_also_when_concealing() {
        let (status, body) = text(&AuthError::InvalidRequest("/email: missing".to_owned()), true);
        assert_eq!(status, 400);
        assert!(body.contains("/email: missing"), "{body}");
    }

    #[test]
    fn unavailable_says_when_to_come_back() {
        let error =
            AuthError::Unavailable { what: "hasher", retry_after: Duration::from_millis(1_200) };
        let response = error_response(&error, false, &RequestId::fresh());
        assert_eq!(response.status.as_u16(), 503);
        assert_eq!(response.headers[RETRY_AFTER], "2");
    }

    #[test]
    fn an_outage_of_postgres_says_when_to_come_back() {
        let error = AuthError::from(sqlx::Error::PoolTimedOut);
        let response = error_response(&error, false, &RequestId::fresh());
        assert_eq!(response.status.as_u16(), 503);
        assert_eq!(response.headers[RETRY_AFTER], "1");
    }

    #[test]
    fn causes_do_not_reach_the_client() {
        let error = AuthError::internal("mail failed", std::io::Error::other("password=hunter2"));
        let (status, body) = text(&error, false);
        assert_eq!(status, 500);
        assert!(!body.contains("hunter2") && !body.contains("mail"), "{body}");
        assert_eq!(chain(&error), "mail failed: password=hunter2");
    }
}
