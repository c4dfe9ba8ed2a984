//! A response as handlers make it.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use url::Url;

use crate::domain::error::AuthError;
use crate::domain::json;
use crate::metrics::http::Failure;

const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Status, headers and a complete body.
#[derive(Clone, Debug, Default)]
pub struct ApiResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The failure that a redirect tells an application of, to be counted.
    pub failure: Option<Failure>,
}

impl ApiResponse {
    /// 200 with the value as JSON in the contract's spelling (see [`json::body`]).
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, AuthError> {
        let body = json::body(value)
            .map_err(|error| AuthError::internal("a response could not be serialised", error))?;
        Ok(Self::raw_json(body))
    }

    /// 200 with text that is already JSON; it should end with a line feed and be safe in HTML.
    pub fn raw_json(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::empty(StatusCode::OK) }
            .with_header(CONTENT_TYPE, APPLICATION_JSON)
    }

    /// 200 with the JSON string `"OK"`.
    pub fn ok_text() -> Self {
        Self::raw_json(Bytes::from_static(b"\"OK\"\n"))
    }

    /// 200 with an HTML page.
    pub fn html(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::empty(StatusCode::OK) }
            .with_header(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))
    }

    /// 302 to an absolute URL, without a body; never cached and never named as a
    /// referrer, since such URLs carry tokens.
    ///
    /// What is ASCII stays to the letter, since applications compare addresses as text. Clients differ
    /// in what they make of other characters in a header, so such a target is written as the URL that
    /// it was taken for when it was allowed.
    pub fn redirect(location: &str) -> Result<Self, AuthError> {
        let unusable = "a redirect target has characters that no header may have";
        let location = if location.is_ascii() {
            HeaderValue::from_str(location)
        } else {
            let url = Url::parse(location).map_err(|error| AuthError::internal(unusable, error))?;
            HeaderValue::from_str(url.as_str())
        };
        let location = location.map_err(|error| AuthError::internal(unusable, error))?;
        Ok(Self::empty(StatusCode::FOUND)
            .with_header(LOCATION, location)
            .with_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
            .with_header(REFERRER_POLICY, HeaderValue::from_static("no-referrer")))
    }

    /// The status alone.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, ..Self::default() }
    }

    /// Replaces the status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Has the browser keep, or forget, a cookie.
    #[must_use]
    pub fn with_cookie(mut self, cookie: &cookie::Cookie<'_>) -> Self {
        let value = HeaderValue::from_str(&cookie.to_string());
        self.headers.append(SET_COOKIE, value.expect("names and values of cookies are base64url"));
        self
    }

    /// Sets a header, replacing one of the same name.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl From<ApiResponse> for Response<Full<Bytes>> {
    fn from(response: ApiResponse) -> Self {
        let mut converted = Self::new(Full::new(response.body));
        *converted.status_mut() = response.status;
        *converted.headers_mut() = response.headers;
        converted
    }
}

#[cfg(test)]
mod tests {
    use crate::http::message::response::*;

    #[test]
    fn ok_is_a_json_string_and_a_line_feed() {
        let response = ApiResponse::ok_text();
        assert_eq!(response.body, "\"OK\"\n");
        assert_eq!(response.headers[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn a_redirect_that_would_split_the_header_is_an_error() {
        assert!(ApiResponse::redirect("http://localhost:3000?a=b").is_ok());
        assert!(ApiResponse::redirect("http://localhost\r\nSet-Cookie: a=b").is_err());
    }

    #[test]
    fn a_redirect_is_ascii() {
        let location = |target| ApiResponse::redirect(target).unwrap().headers[LOCATION].clone();
        assert_eq!(location("http://localhost:3000"), "http://localhost:3000");
        assert_eq!(
            location("https://ex\u{e4}mple.com/\u{17e}"),
            "https://xn--exmple-cua.com/%C5%BE"
        );
    }
}
