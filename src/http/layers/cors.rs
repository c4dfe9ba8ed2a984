//! Cross-origin headers as the reference sends them: every origin is reflected.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN,
    VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::http::message::call::{Inbound, Reply};

/// Answers `OPTIONS` on any path and adds the headers to what has an `Origin`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CorsLayer;

impl<T> Layer<T> for CorsLayer {
    type Service = Cors<T>;

    fn layer(&self, inner: T) -> Cors<T> {
        Cors { inner }
    }
}

/// See [`CorsLayer`].
#[derive(Clone, Debug)]
pub struct Cors<T> {
    inner: T,
}

impl<T, B> Service<Inbound<B>> for Cors<T>
where
    T: Service<Inbound<B>, Response = Reply, Error = Infallible>,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = CorsFuture<T::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, inbound: Inbound<B>) -> Self::Future {
        let headers = inbound.request.headers();
        let origin = headers.get(ORIGIN).filter(|value| !value.is_empty()).cloned();
        let is_options = inbound.request.method() == Method::OPTIONS;
        let grant = (is_options || origin.is_some()).then(|| Grant {
            origin,
            headers: headers
                .get(ACCESS_CONTROL_REQUEST_HEADERS)
                .filter(|value| !value.is_empty())
                .cloned(),
        });
        if is_options {
            return CorsFuture::Preflight { grant };
        }
        CorsFuture::Actual { inner: self.inner.call(inbound), grant }
    }
}

/// What this request is allowed.
#[derive(Debug)]
pub struct Grant {
    origin: Option<HeaderValue>,
    headers: Option<HeaderValue>,
}

impl Grant {
    fn write(self, headers: &mut HeaderMap) {
        if let Some(origin) = self.origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
        if let Some(allowed) = self.headers {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        }
        let fixed = HeaderValue::from_static;
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, fixed("POST, GET"));
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, fixed("true"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, fixed("86400"));
        headers.append(VARY, fixed("Origin, Access-Control-Request-Method"));
    }
}

pin_project! {
    /// The future of [`Cors`].
    #[project = CorsProjection]
    #[derive(Debug)]
    pub enum CorsFuture<F> {
        Preflight { grant: Option<Grant> },
        Actual { #[pin] inner: F, grant: Option<Grant> },
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for CorsFuture<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (mut reply, grant) = match self.project() {
            CorsProjection::Preflight { grant } => {
                let mut reply = Reply::default();
                *reply.status_mut() = StatusCode::NO_CONTENT;
                (reply, grant.take())
            }
            CorsProjection::Actual { inner, grant } => {
                let Ok(reply) = ready!(inner.poll(cx));
                (reply, grant.take())
            }
        };
        if let Some(grant) = grant {
            grant.write(reply.headers_mut());
        }
        Poll::Ready(Ok(reply))
    }
}
