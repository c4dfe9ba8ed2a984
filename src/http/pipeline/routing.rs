//! Looks the route up, before the layers that go by its rules.

use std::sync::Arc;

use super::router::Router;
use crate::http::layers::middleware::{Enter, Middleware};
use crate::http::message::call::{Call, Reply, Routed};

/// Adds to each call the route that it asks for.
pub struct Routing<S> {
    router: Arc<Router<S>>,
}

impl<S> Routing<S> {
    /// By the table of `router`.
    pub fn new(router: Arc<Router<S>>) -> Self {
        Self { router }
    }
}

impl<S> Clone for Routing<S> {
    fn clone(&self) -> Self {
        Self { router: Arc::clone(&self.router) }
    }
}

impl<S: Send + Sync + 'static, B> Middleware<Call<B>> for Routing<S> {
    type Out = Routed<B>;
    type Exit = ();

    fn enter(&self, call: Call<B>) -> Enter<Routed<B>, ()> {
        let route = self.router.find(call.request.method(), call.request.uri().path());
        Enter::Pass(Routed { call, route }, ())
    }

    fn leave((): (), reply: Reply) -> Reply {
        reply
    }
}
