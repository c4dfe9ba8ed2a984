//! Looks the route up, before the layers that go by its rules.

use std::sync::Arc;

use super::router::Router;
use crate::http::layers::local::LocalHosts;
use crate::http::layers::middleware::{Enter, Middleware};
use crate::http::layers::prefetch::is_prefetch;
use crate::http::message::call::{Call, Reply, Routed};
use crate::http::message::route::Missed;

/// Adds to each call the route that it asks for.
pub struct Routing<S> {
    router: Arc<Router<S>>,
    hosts: LocalHosts,
}

impl<S> Routing<S> {
    /// By the table of `router`; some of it is for these hosts only.
    pub fn new(router: Arc<Router<S>>, hosts: LocalHosts) -> Self {
        Self { router, hosts }
    }
}

impl<S> Clone for Routing<S> {
    fn clone(&self) -> Self {
        Self { router: Arc::clone(&self.router), hosts: self.hosts }
    }
}

impl<S: Send + Sync + 'static, B> Middleware<Call<B>> for Routing<S> {
    type Out = Routed<B>;
    type Exit = ();

    fn enter(&self, call: Call<B>) -> Enter<Routed<B>, ()> {
        let (uri, headers) = (call.request.uri(), call.request.headers());
        let route = match self.router.find(call.request.method(), uri.path()) {
            Ok(found) if found.rules.is_local && !self.hosts.are_asked(uri, headers) => {
                Err(Missed::Host)
            }
            Ok(found) if found.rules.is_for_people && is_prefetch(headers) => Err(Missed::Prefetch),
            route => route,
        };
        Enter::Pass(Routed { call, route }, ())
    }

    fn leave((): (), reply: Reply) -> Reply {
        reply
    }
}
