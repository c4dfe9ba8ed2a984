//! The response body of most sign-ins.

use serde::Serialize;

use crate::flows::sessions::session::IssuedSession;
use crate::http::ApiResponse;
use crate::http::pipeline::router::HandlerResult;

/// `{"session": …}`, or `{}` where there is none.
pub fn session_payload(session: Option<&IssuedSession>) -> HandlerResult {
    #[derive(Serialize)]
    struct SessionPayload<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<&'a IssuedSession>,
    }
    ApiResponse::json(&SessionPayload { session })
}
