//! A request as handlers see it: complete, bounded, owned.

use std::net::IpAddr;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Uri};

use crate::domain::auth_scheme::bearer_token;
use crate::http::RequestId;

/// One request after its body has been read.
///
/// A pointer, since it goes through many hands, and each future on the way would hold a copy.
#[derive(Debug)]
pub struct ApiRequest(Box<RequestParts>);

/// What is in a request.
#[derive(Debug)]
pub struct RequestParts {
    pub method: Method,
    /// As sent; see [`RequestParts::path`] and [`RequestParts::query`].
    pub uri: Uri,
    pub headers: HeaderMap,
    /// The whole body, at most `AUTH_HTTP_MAX_BODY_BYTES`.
    pub body: Bytes,
    /// The client's address as reported by trusted proxies.
    pub client_ip: IpAddr,
    /// Also in the response's `X-Request-Id` and in every log line about this request.
    pub request_id: RequestId,
    /// Values of `{name}` segments of the matched route, in order.
    pub params: Vec<(String, String)>,
    /// Bytes of the API prefix at the front of the path; 0 for routes outside the prefix.
    pub prefix_length: usize,
}

impl ApiRequest {
    /// A request without headers and parameters, for callers that do not come from a socket.
    pub fn new(method: Method, uri: Uri, body: impl Into<Bytes>) -> Self {
        let (mut head, ()) = Request::new(()).into_parts();
        (head.method, head.uri) = (method, uri);
        let mut request = Self::of_head(head, IpAddr::from([127, 0, 0, 1]), RequestId::fresh());
        request.body = body.into();
        request
    }

    /// A request whose route is not known and whose body is not read yet.
    pub fn of_head(head: Parts, client_ip: IpAddr, request_id: RequestId) -> Self {
        Self(Box::new(RequestParts {
            method: head.method,
            uri: head.uri,
            headers: head.headers,
            body: Bytes::new(),
            client_ip,
            request_id,
            params: Vec::new(),
            prefix_length: 0,
        }))
    }
}

impl Deref for ApiRequest {
    type Target = RequestParts;

    fn deref(&self) -> &RequestParts {
        &self.0
    }
}

impl DerefMut for ApiRequest {
    fn deref_mut(&mut self) -> &mut RequestParts {
        &mut self.0
    }
}

impl RequestParts {
    /// The path without the API prefix, never empty.
    pub fn path(&self) -> &str {
        match self.uri.path().get(self.prefix_length..) {
            None | Some("") => "/",
            Some(path) => path,
        }
    }

    /// The raw query string; may carry tickets and tokens, so it is never logged.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// The value of the route's segment `{name}`, as sent (not percent-decoded).
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The token of `Authorization: Bearer <token>`.
    pub fn bearer(&self) -> Option<&str> {
        bearer_token(self.headers.get(AUTHORIZATION)?.to_str().ok()?)
    }
}

#[cfg(test)]
mod tests {
    use crate::http::message::request::*;

    #[test]
    fn the_path_is_without_prefix_and_query() {
        let mut request = ApiRequest::new(Method::GET, Uri::from_static("/v1/verify?ticket=x"), "");
        request.prefix_length = 3;
        assert_eq!(request.path(), "/verify");
        assert_eq!(request.query(), Some("ticket=x"));
    }
}
