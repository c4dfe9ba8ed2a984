//! Which handler serves which method and path.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Method};

use crate::domain::error::AuthError;
use crate::http::message::route::{BodySize, Found, Limits, Missed, RouteRules, Turnstile};
use crate::http::{ApiRequest, ApiResponse};
use crate::metrics::HttpStats;
use crate::metrics::http::RouteStats;

/// What every handler returns.
pub type HandlerResult = Result<ApiResponse, AuthError>;

/// Anything that serves requests; every `async fn(Arc<S>, ApiRequest) -> HandlerResult` does.
///
/// The future is dropped when the client goes away or the request's time is over, so a handler
/// must leave nothing half done at an `.await` (a transaction that is dropped rolls back).
pub trait Handler<S>: Send + Sync + 'static {
    /// Starts to serve one request.
    fn call(&self, state: Arc<S>, request: ApiRequest) -> BoxFuture<'static, HandlerResult>;
}

impl<S, F, R> Handler<S> for F
where
    F: Fn(Arc<S>, ApiRequest) -> R + Send + Sync + 'static,
    R: Future<Output = HandlerResult> + Send + 'static,
{
    fn call(&self, state: Arc<S>, request: ApiRequest) -> BoxFuture<'static, HandlerResult> {
        Box::pin(self(state, request))
    }
}

/// Two routes that cannot be told apart, or a path that is not a route.
#[derive(Debug, thiserror::Error)]
#[error("cannot register {method} {path}: {reason}")]
pub struct RouteError {
    method: Method,
    path: String,
    reason: String,
}

/// All routes of a server, looked up by method and path.
pub struct Router<S> {
    tree: matchit::Router<Endpoint>,
    list: Vec<RouteInfo>,
    handlers: Vec<Box<dyn Handler<S>>>,
    stats: Arc<HttpStats>,
}

/// One route, for tests and documentation that walk them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    pub method: Method,
    /// The path as clients send it, with the API prefix.
    pub path: String,
    /// Bytes of `path` that are the API prefix.
    pub prefix_length: usize,
    pub rules: RouteRules,
    /// The subject that it belongs to, which is its folder and its chapter in `docs/openapi.json`.
    pub chapter: &'static str,
}

/// The methods of one path.
struct Endpoint {
    /// Method, and place in the router's list.
    methods: Vec<(Method, usize)>,
    allow: HeaderValue,
}

impl<S: Send + Sync + 'static> Router<S> {
    /// Starts a table whose ordinary routes all begin with `prefix` (`AUTH_API_PREFIX`: empty, or
    /// with a leading and without a trailing slash).
    pub fn builder(prefix: &str) -> RouterBuilder<S> {
        RouterBuilder {
            prefix: prefix.to_owned(),
            chapter: "",
            routes: Vec::new(),
            is_left_out: false,
        }
    }

    /// Finds the route; one trailing slash too many is forgiven.
    pub fn find(&self, method: &Method, path: &str) -> Result<Found, Missed> {
        let Some(matched) = look_up(&self.tree, path) else { return Err(Missed::Path) };
        let endpoint = matched.value;
        let Some((_, place)) = endpoint.methods.iter().find(|(known, _)| known == method) else {
            return Err(Missed::Method { allow: endpoint.allow.clone() });
        };
        let params = matched.params.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let RouteInfo { prefix_length, rules, .. } = self.list[*place];
        Ok(Found { place: *place, params, prefix_length, rules })
    }

    /// The methods of a path, as `Allow` has them.
    pub fn methods(&self, path: &str) -> Option<HeaderValue> {
        look_up(&self.tree, path).map(|matched| matched.value.allow.clone())
    }

    /// The handler of a route that was found here.
    pub fn handler(&self, found: &Found) -> &dyn Handler<S> {
        self.handlers[found.place].as_ref()
    }

    /// What a route that was found here is, and its metrics.
    pub fn route(&self, found: &Found) -> (&RouteInfo, &RouteStats) {
        (&self.list[found.place], self.stats.route(found.place))
    }

    /// The metrics of all routes.
    pub fn stats(&self) -> &Arc<HttpStats> {
        &self.stats
    }

    /// Every route, in the order of registration.
    pub fn routes(&self) -> &[RouteInfo] {
        &self.list
    }
}

/// One trailing slash too many is forgiven.
fn look_up<'t, 'p>(
    tree: &'t matchit::Router<Endpoint>,
    path: &'p str,
) -> Option<matchit::Match<'t, 'p, &'t Endpoint>> {
    tree.at(path).ok().or_else(|| {
        let shorter = path.strip_suffix('/').filter(|shorter| !shorter.is_empty())?;
        tree.at(shorter).ok()
    })
}

/// Collects routes; see [`Router::builder`].
pub struct RouterBuilder<S> {
    prefix: String,
    chapter: &'static str,
    routes: Vec<(RouteInfo, Box<dyn Handler<S>>)>,
    /// The route that was asked for last is there already, with rules of its own.
    is_left_out: bool,
}

impl<S: Send + Sync + 'static> RouterBuilder<S> {
    /// What is added from here on belongs to this subject.
    #[must_use]
    pub fn chapter(mut self, name: &'static str) -> Self {
        self.chapter = name;
        self
    }

    /// Adds a route below the prefix. `path` begins with a slash and may have `{name}` segments.
    ///
    /// `HEAD` is served only where it is registered, as in the contract.
    #[must_use]
    pub fn route(
        mut self,
        method: Method,
        path: &str,
        limits: Limits,
        turnstile: Turnstile,
        handler: impl Handler<S>,
    ) -> Self {
        // The prefix is literal: braces in it are not parameters.
        let literal = self.prefix.replace('{', "{{").replace('}', "}}");
        let info = RouteInfo {
            method,
            path: format!("{literal}{path}"),
            prefix_length: self.prefix.len(),
            rules: RouteRules::new(limits, turnstile),
            chapter: self.chapter,
        };
        self.routes.push((info, Box::new(handler)));
        self.is_left_out = false;
        self
    }

    /// The route that rules are said of.
    fn last(&mut self) -> Option<&mut RouteInfo> {
        if self.is_left_out { None } else { self.routes.last_mut().map(|(info, _)| info) }
    }

    /// The route that was added last takes metadata, and so a larger body.
    #[must_use]
    pub fn with_metadata(mut self) -> Self {
        if let Some(info) = self.last() {
            info.rules.body = BodySize::WithMetadata;
        }
        self
    }

    /// Adds a route that does not move with the prefix, and has no limits of its own. With an empty
    /// prefix an ordinary route of the same method and path wins, and this one is left out.
    #[must_use]
    pub fn route_outside_prefix(
        mut self,
        method: Method,
        path: &str,
        handler: impl Handler<S>,
    ) -> Self {
        let rules = RouteRules::new(Limits::NONE, Turnstile::NotAsked);
        let chapter = self.chapter;
        let info = RouteInfo { method, path: path.to_owned(), prefix_length: 0, rules, chapter };
        let is_taken =
            |(other, _): &(RouteInfo, _)| other.method == info.method && other.path == info.path;
        self.is_left_out = self.routes.iter().any(is_taken);
        if !self.is_left_out {
            self.routes.push((info, Box::new(handler)));
        }
        self
    }

    /// The route that was added last is for this machine only.
    #[must_use]
    pub fn local(mut self) -> Self {
        if let Some(info) = self.last() {
            info.rules.is_local = true;
        }
        self
    }

    /// The route that was added last tells whether this server works.
    #[must_use]
    pub fn probe(mut self) -> Self {
        if let Some(info) = self.last() {
            info.rules.is_probe = true;
        }
        self
    }

    /// The route that was added last is not served to browsers that look ahead.
    #[must_use]
    pub fn for_people(mut self) -> Self {
        if let Some(info) = self.last() {
            info.rules.is_for_people = true;
        }
        self
    }

    /// Builds the table, or says which route is wrong.
    pub fn build(self) -> Result<Router<S>, RouteError> {
        let (list, handlers): (Vec<_>, Vec<_>) = self.routes.into_iter().unzip();
        let mut by_path: BTreeMap<&str, Vec<(Method, usize)>> = BTreeMap::new();
        for (place, info) in list.iter().enumerate() {
            let methods = by_path.entry(&info.path).or_default();
            if methods.iter().any(|(other, _)| *other == info.method) {
                return Err(refused(info, "it is already registered"));
            }
            methods.push((info.method.clone(), place));
        }
        let mut tree = matchit::Router::new();
        for (path, methods) in by_path {
            let info = &list[methods[0].1];
            let names: Vec<_> = methods.iter().map(|(method, _)| method.as_str()).collect();
            let allow = HeaderValue::from_str(&names.join(", ")).map_err(|e| refused(info, &e))?;
            tree.insert(path, Endpoint { methods, allow }).map_err(|e| refused(info, &e))?;
        }
        let stats = Arc::new(HttpStats::new(list.len()));
        Ok(Router { tree, list, handlers, stats })
    }
}

fn refused(info: &RouteInfo, reason: &(impl ToString + ?Sized)) -> RouteError {
    let RouteInfo { method, path, .. } = info.clone();
    RouteError { method, path, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use crate::http::pipeline::router::*;

    async fn ok(_: Arc<()>, _: ApiRequest) -> HandlerResult {
        Ok(ApiResponse::ok_text())
    }

    fn router(prefix: &str) -> Router<()> {
        Router::builder(prefix)
            .route(Method::GET, "/healthz", Limits::NONE, Turnstile::NotAsked, ok)
            .route(Method::HEAD, "/healthz", Limits::NONE, Turnstile::NotAsked, ok)
            .route(Method::POST, "/token", Limits::NONE, Turnstile::NotAsked, ok)
            .route(
                Method::GET,
                "/signin/provider/{provider}",
                Limits::NONE,
                Turnstile::NotAsked,
                ok,
            )
            .route_outside_prefix(Method::GET, "/healthz", ok)
            .build()
            .unwrap()
    }

    #[test]
    fn routes_below_the_prefix_move_with_it() {
        let router = router("/v1");
        assert_eq!(router.find(&Method::POST, "/v1/token").unwrap().prefix_length, 3);
        assert_eq!(router.find(&Method::GET, "/healthz").unwrap().prefix_length, 0);
        assert_eq!(router.find(&Method::POST, "/token").err(), Some(Missed::Path));
        assert_eq!(router.routes().len(), 5);
    }

    #[test]
    fn an_empty_prefix_leaves_one_route_of_two_equal_ones() {
        assert_eq!(router("").routes().len(), 4);
    }

    #[test]
    fn rules_of_a_route_that_is_left_out_are_of_no_other() {
        for (prefix, probes) in [("", 1), ("/v1", 2)] {
            let router = Router::<()>::builder(prefix)
                .route(Method::GET, "/healthz", Limits::NONE, Turnstile::NotAsked, ok)
                .probe()
                .route(Method::GET, "/version", Limits::NONE, Turnstile::NotAsked, ok)
                .route_outside_prefix(Method::GET, "/healthz", ok)
                .probe()
                .build()
                .unwrap();
            let are_probes = router.routes().iter().filter(|route| route.rules.is_probe);
            let paths: Vec<_> = are_probes.map(|route| route.path.as_str()).collect();
            assert_eq!(paths.len(), probes, "{paths:?}");
            assert!(paths.iter().all(|path| path.ends_with("/healthz")), "{paths:?}");
        }
    }

    #[test]
    fn the_prefix_is_literal() {
        let router = router("/{x}");
        assert!(router.find(&Method::POST, "/{x}/token").is_ok());
        assert!(router.find(&Method::POST, "/a/token").is_err());
    }

    #[test]
    fn one_trailing_slash_is_the_same_path() {
        let router = router("");
        assert!(router.find(&Method::POST, "/token/").is_ok());
        assert!(router.find(&Method::POST, "/token//").is_err());
        assert!(router.find(&Method::GET, "/").is_err());
        assert!(router.find(&Method::GET, "").is_err());
    }

    #[test]
    fn a_known_path_with_another_method_names_the_allowed_ones() {
        let router = router("");
        let missed = router.find(&Method::PUT, "/healthz").err();
        assert_eq!(missed, Some(Missed::Method { allow: HeaderValue::from_static("GET, HEAD") }));
        assert!(matches!(router.find(&Method::HEAD, "/token"), Err(Missed::Method { .. })));
    }

    #[test]
    fn segments_in_braces_are_parameters() {
        let router = router("");
        let found = router.find(&Method::GET, "/signin/provider/github").unwrap();
        assert_eq!(found.params, [("provider".to_owned(), "github".to_owned())]);
    }

    #[test]
    fn a_route_registered_twice_is_refused() {
        let twice = Router::<()>::builder("")
            .route(Method::GET, "/a", Limits::NONE, Turnstile::NotAsked, ok)
            .route(Method::GET, "/a", Limits::NONE, Turnstile::NotAsked, ok)
            .build();
        assert!(twice.err().unwrap().to_string().contains("GET /a"));
    }
}
