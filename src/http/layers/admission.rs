//! Bounds the requests in flight; past the bound the answer is an immediate 503.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use http::HeaderValue;
use http::header::RETRY_AFTER;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::domain::error::ErrorCode;
use crate::http::message::call::Reply;
use crate::http::message::error::code_response;
use crate::metrics::HttpStats;

/// Lets `limit` requests in at a time (`AUTH_HTTP_MAX_CONCURRENCY`).
///
/// A counter instead of tower's semaphore: nobody waits here, so there is nothing to queue.
#[derive(Clone, Debug)]
pub struct AdmissionLayer {
    limit: usize,
    stats: Arc<HttpStats>,
}

impl AdmissionLayer {
    /// Counts in `stats`, which belong to one front end.
    pub fn new(limit: usize, stats: Arc<HttpStats>) -> Self {
        Self { limit, stats }
    }
}

impl<T> Layer<T> for AdmissionLayer {
    type Service = Admission<T>;

    fn layer(&self, inner: T) -> Admission<T> {
        Admission { inner, limit: self.limit, stats: Arc::clone(&self.stats) }
    }
}

/// See [`AdmissionLayer`].
#[derive(Clone, Debug)]
pub struct Admission<T> {
    inner: T,
    limit: usize,
    stats: Arc<HttpStats>,
}

impl<T, R> Service<R> for Admission<T>
where
    T: Service<R, Response = Reply, Error = Infallible>,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = AdmissionFuture<T::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let place = Place(Arc::clone(&self.stats));
        if self.stats.in_flight.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.stats.shed.increment();
            return AdmissionFuture::Refused;
        }
        AdmissionFuture::Admitted { inner: self.inner.call(request), _place: place }
    }
}

/// One request's share of the limit, given back when it is answered or dropped.
#[derive(Debug)]
pub struct Place(Arc<HttpStats>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

pin_project! {
    /// The future of [`Admission`].
    #[project = AdmissionProjection]
    #[derive(Debug)]
    pub enum AdmissionFuture<F> {
        Refused,
        Admitted { #[pin] inner: F, _place: Place },
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for AdmissionFuture<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AdmissionProjection::Admitted { inner, .. } => inner.poll(cx),
            AdmissionProjection::Refused => {
                let response = code_response(ErrorCode::ServiceUnavailable)
                    .with_header(RETRY_AFTER, HeaderValue::from_static("1"));
                Poll::Ready(Ok(response.into()))
            }
        }
    }
}
