//! Requests and responses, as little of HTTP as providers need.

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request};
use serde_json::Value;

/// Parameters by name; each name is there once.
pub(crate) type Parameters = BTreeMap<String, String>;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) raw_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Call {
    pub(super) async fn read(request: Request<Incoming>) -> Self {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes);
        Self {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            raw_query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body.unwrap_or_default()).into_owned(),
        }
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The parameters of its query.
    pub(crate) fn query(&self) -> Result<Parameters, Reply> {
        parameters(&self.raw_query)
    }

    /// The fields of its form.
    pub(crate) fn form(&self) -> Result<Parameters, Reply> {
        let kind = self.header("content-type").unwrap_or_default();
        if self.method != Method::POST || !kind.starts_with("application/x-www-form-urlencoded") {
            return Err(Reply::refused(415, "invalid_request", "a form is wanted"));
        }
        parameters(&self.body)
    }

    /// What comes after `Bearer`.
    pub(super) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }
}

/// RFC 6749, 3.1 and 3.2: "parameters MUST NOT be included more than once".
fn parameters(text: &str) -> Result<Parameters, Reply> {
    let mut all = Parameters::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        if all.insert(name.clone().into_owned(), value.into_owned()).is_some() {
            return Err(Reply::refused(400, "invalid_request", &format!("{name} is there twice")));
        }
    }
    Ok(all)
}

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Reply {
    fn with_body(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: body.into() }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::with_body(status, "application/json; charset=utf-8", body.to_string())
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::with_body(status, "text/plain; charset=utf-8", body.to_owned())
    }

    pub(crate) fn html(status: u16, body: &str) -> Self {
        Self::with_body(status, "text/html; charset=utf-8", body.to_owned())
    }

    pub(crate) fn form(status: u16, fields: &[(&str, &str)]) -> Self {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Self::with_body(status, "application/x-www-form-urlencoded; charset=utf-8", body)
    }

    /// An error of RFC 6749, 5.2.
    pub(crate) fn refused(status: u16, error: &str, why: &str) -> Self {
        let body = serde_json::json!({"error": error, "error_description": why});
        Self::json(status, &body)
    }

    pub(crate) fn redirect(to: &str) -> Self {
        let mut reply = Self::text(302, "");
        reply.headers.push(("location", to.to_owned()));
        reply
    }
}
