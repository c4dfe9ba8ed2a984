//! All layers and the router as one service, with or without a socket.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::Body;
use tower::{Service, ServiceBuilder};

use super::dispatch::{Dispatch, RequestBounds};
use super::router::Router;
use super::routing::Routing;
use crate::config::ServerConfig;
use crate::domain::schema_origin::Origin;
use crate::http::bounds::byte_budget::ByteBudget;
use crate::http::bounds::shares::share_of;
use crate::http::layers::admission::Admission;
use crate::http::layers::client_address::TrustedProxies;
use crate::http::layers::cors::Cors;
use crate::http::layers::local::{LocalHosts, LocalPaths};
use crate::http::layers::middleware::{Wrap, Wrapped};
use crate::http::layers::no_store::NoStore;
use crate::http::layers::rate_limit::{RateLimit, RateLimitParts};
use crate::http::layers::trace::Trace;
use crate::http::layers::turnstile::{TurnstileLayer, TurnstileParts};
use crate::http::message::call::{Inbound, Reply};
use crate::http::message::route::PathMethods;
use crate::telemetry::access_log::AccessLog;

type Guarded<S> = Wrapped<RateLimit, Wrapped<Admission, Wrapped<TurnstileLayer, Dispatch<S>>>>;
type Traced<S> = Wrapped<Trace, Wrapped<Routing<S>, Guarded<S>>>;
type Stack<S> = Wrapped<Cors, Wrapped<NoStore, Traced<S>>>;

/// What the front end needs to know when it is built.
#[derive(Clone, Debug)]
pub struct FrontEndSettings {
    pub bounds: RequestBounds,
    /// Requests in flight before 503.
    pub max_concurrency: usize,
    pub trusted_proxies: TrustedProxies,
    pub local_hosts: LocalHosts,
    /// Percent of the requests in flight and of the budget that one client network may have.
    pub client_share: u8,
    /// Bytes that bodies may take together.
    pub body_budget: usize,
}

impl FrontEndSettings {
    /// What a server with this configuration needs on a database of this origin.
    pub fn new(config: &ServerConfig, origin: Origin) -> Self {
        Self {
            bounds: RequestBounds {
                max_body_bytes: config.max_body_bytes,
                request_timeout: config.request_timeout,
            },
            max_concurrency: config.max_concurrency,
            trusted_proxies: TrustedProxies::new(config.trusted_proxies(origin)),
            local_hosts: LocalHosts::new(config.listen.ip()),
            client_share: config.client_share,
            body_budget: config.body_budget,
        }
    }
}

/// What guards the routes; the default guards nothing.
#[derive(Default)]
pub struct Guards {
    pub rate_limit: Option<RateLimitParts>,
    pub turnstile: Option<TurnstileParts>,
}

/// The service that [`serve`](crate::http::serve::server::serve) runs; one clone per connection and request.
pub struct FrontEnd<S> {
    stack: Stack<S>,
}

impl<S: Send + Sync + 'static> FrontEnd<S> {
    /// Stacks the layers over the router. `conceal_errors` is asked at each failure, e.g.
    /// `move || live.load().server.conceal_errors`.
    pub fn new(
        router: Arc<Router<S>>,
        state: Arc<S>,
        settings: &FrontEndSettings,
        guards: Guards,
        conceal_errors: impl Fn() -> bool + Send + Sync + 'static,
        log: AccessLog,
    ) -> Self {
        let figures = Arc::clone(router.stats());
        let local = router.routes().iter().filter(|route| route.rules.is_local);
        let local_paths = LocalPaths::new(local.map(|route| route.path.as_str()));
        let (proxies, percent) = (&settings.trusted_proxies, settings.client_share);
        let (places, budget) = (settings.max_concurrency, settings.body_budget);
        let admission =
            Admission::with_shares(places, figures, share_of(places, percent), proxies.clone());
        // The largest body there may be has to fit.
        let share = share_of(budget, percent).max(settings.bounds.max_body_bytes);
        let budget = Some((Arc::new(ByteBudget::new(budget, share)), proxies.clone()));
        let table = Arc::clone(&router);
        let methods: PathMethods = Arc::new(move |path| table.methods(path));
        let stack = ServiceBuilder::new()
            .layer(Wrap(Cors::new(local_paths, methods)))
            .layer(Wrap(NoStore))
            .layer(Wrap(Trace::new(log, settings.trusted_proxies.clone())))
            .layer(Wrap(Routing::new(Arc::clone(&router), settings.local_hosts)))
            .layer(Wrap(RateLimit::new(guards.rate_limit)))
            .layer(Wrap(admission))
            .layer(Wrap(TurnstileLayer::new(guards.turnstile)))
            .service(Dispatch::new(router, state, settings.bounds, budget, conceal_errors));
        Self { stack }
    }
}

impl<S> Clone for FrontEnd<S> {
    fn clone(&self) -> Self {
        Self { stack: self.stack.clone() }
    }
}

impl<S, B> Service<Inbound<B>> for FrontEnd<S>
where
    S: Send + Sync + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = <Stack<S> as Service<Inbound<B>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Inbound<B>>::poll_ready(&mut self.stack, cx)
    }

    fn call(&mut self, inbound: Inbound<B>) -> Self::Future {
        self.stack.call(inbound)
    }
}
