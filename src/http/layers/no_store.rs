//! Keeps responses out of caches: nearly all of them carry a token or are about the bearer of one.

use http::HeaderValue;
use http::header::CACHE_CONTROL;

use super::middleware::{Enter, Middleware};
use crate::http::message::call::{Inbound, Reply};

/// Adds `Cache-Control: no-store` to what does not say itself how it may be kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStore;

impl<B> Middleware<Inbound<B>> for NoStore {
    type Out = Inbound<B>;
    type Exit = ();

    fn enter(&self, inbound: Inbound<B>) -> Enter<Inbound<B>, ()> {
        Enter::Pass(inbound, ())
    }

    fn leave((): (), mut reply: Reply) -> Reply {
        const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
        reply.headers_mut().entry(CACHE_CONTROL).or_insert(NO_STORE);
        reply
    }
}
