//! Which handler answers which method and path.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Method};

use crate::domain::error::AuthError;
use crate::http::{ApiRequest, ApiResponse};
use crate::metrics::HttpStats;
use crate::metrics::http::RouteStats;

/// What every handler returns.
pub type HandlerResult = Result<ApiResponse, AuthError>;

/// Anything that answers requests; every `async fn(Arc<S>, ApiRequest) -> HandlerResult` does.
///
/// The future is dropped when the client goes away or the request's time is over, so a handler
/// must leave nothing half done at an `.await` (a transaction that is dropped rolls back).
pub trait Handler<S>: Send + Sync + 'static {
    /// Starts answering one request.
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
    tree: matchit::Router<Endpoint<S>>,
    list: Vec<RouteInfo>,
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
}

/// The handlers of one path.
struct Endpoint<S> {
    prefix_length: usize,
    methods: Vec<Registered<S>>,
    allow: HeaderValue,
}

struct Registered<S> {
    method: Method,
    handler: Box<dyn Handler<S>>,
    /// Its place in the router's list.
    place: usize,
}

/// A lookup that succeeded.
pub struct Found<'a, S> {
    pub handler: &'a dyn Handler<S>,
    /// What the route is, and its figures.
    pub route: &'a RouteInfo,
    pub stats: &'a RouteStats,
    pub params: Vec<(String, String)>,
    pub prefix_length: usize,
}

/// A lookup that did not.
#[derive(Debug, PartialEq, Eq)]
pub enum Missed {
    /// No route has this path.
    Path,
    /// The path exists with other methods only, those of the `Allow` header.
    Method { allow: HeaderValue },
}

impl<S: Send + Sync + 'static> Router<S> {
    /// Starts a table whose ordinary routes all begin with `prefix` (`AUTH_API_PREFIX`: empty, or
    /// with a leading and without a trailing slash).
    pub fn builder(prefix: &str) -> RouterBuilder<S> {
        RouterBuilder { prefix: prefix.to_owned(), routes: Vec::new() }
    }

    /// Finds the handler; one trailing slash too many is forgiven.
    pub fn find(&self, method: &Method, path: &str) -> Result<Found<'_, S>, Missed> {
        let matched = self.tree.at(path).or_else(|missed| {
            path.strip_suffix('/')
                .filter(|shorter| !shorter.is_empty())
                .map_or(Err(missed), |shorter| self.tree.at(shorter))
        });
        let Ok(matched) = matched else { return Err(Missed::Path) };
        let endpoint = matched.value;
        let Some(found) = endpoint.methods.iter().find(|known| known.method == *method) else {
            return Err(Missed::Method { allow: endpoint.allow.clone() });
        };
        let params = matched.params.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        Ok(Found {
            handler: found.handler.as_ref(),
            route: &self.list[found.place],
            stats: self.stats.route(found.place),
            params,
            prefix_length: endpoint.prefix_length,
        })
    }

    /// The figures of all routes.
    pub fn stats(&self) -> &Arc<HttpStats> {
        &self.stats
    }

    /// Every route, in the order of registration.
    pub fn routes(&self) -> &[RouteInfo] {
        &self.list
    }
}

/// Collects routes; see [`Router::builder`].
pub struct RouterBuilder<S> {
    prefix: String,
    routes: Vec<(RouteInfo, Box<dyn Handler<S>>)>,
}

impl<S: Send + Sync + 'static> RouterBuilder<S> {
    /// Adds a route below the prefix. `path` begins with a slash and may have `{name}` segments.
    ///
    /// `HEAD` is answered only where it is registered, as in the contract.
    #[must_use]
    pub fn route(mut self, method: Method, path: &str, handler: impl Handler<S>) -> Self {
        // The prefix is literal: braces in it are not parameters.
        let literal = self.prefix.replace('{', "{{").replace('}', "}}");
        let info = RouteInfo {
            method,
            path: format!("{literal}{path}"),
            prefix_length: self.prefix.len(),
        };
        self.routes.push((info, Box::new(handler)));
        self
    }

    /// Adds a route that does not move with the prefix. With an empty prefix an ordinary route of
    /// the same method and path wins, and this one is left out.
    #[must_use]
    pub fn route_outside_prefix(
        mut self,
        method: Method,
        path: &str,
        handler: impl Handler<S>,
    ) -> Self {
        let info = RouteInfo { method, path: path.to_owned(), prefix_length: 0 };
        if !self
            .routes
            .iter()
            .any(|(other, _)| other.method == info.method && other.path == info.path)
        {
            self.routes.push((info, Box::new(handler)));
        }
        self
    }

    /// Builds the table, or says which route is wrong.
    pub fn build(self) -> Result<Router<S>, RouteError> {
        let list: Vec<_> = self.routes.iter().map(|(info, _)| info.clone()).collect();
        let mut by_path: BTreeMap<String, (RouteInfo, Endpoint<S>)> = BTreeMap::new();
        for (place, (info, handler)) in self.routes.into_iter().enumerate() {
            let (_, endpoint) = by_path.entry(info.path.clone()).or_insert_with(|| {
                let endpoint = Endpoint {
                    prefix_length: info.prefix_length,
                    methods: Vec::new(),
                    allow: HeaderValue::from_static(""),
                };
                (info.clone(), endpoint)
            });
            if endpoint.methods.iter().any(|other| other.method == info.method) {
                return Err(refused(info, "it is already registered"));
            }
            endpoint.methods.push(Registered { method: info.method, handler, place });
        }
        let mut tree = matchit::Router::new();
        for (path, (info, mut endpoint)) in by_path {
            let names: Vec<_> =
                endpoint.methods.iter().map(|known| known.method.as_str()).collect();
            endpoint.allow = HeaderValue::from_str(&names.join(", "))
                .map_err(|error| refused(info.clone(), &error))?;
            tree.insert(path, endpoint).map_err(|error| refused(info, &error))?;
        }
        let stats = Arc::new(HttpStats::new(list.len()));
        Ok(Router { tree, list, stats })
    }
}

fn refused(info: RouteInfo, reason: &(impl ToString + ?Sized)) -> RouteError {
    RouteError { method: info.method, path: info.path, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use crate::http::pipeline::router::*;

    async fn ok(_: Arc<()>, _: ApiRequest) -> HandlerResult {
        Ok(ApiResponse::ok_text())
    }

    fn router(prefix: &str) -> Router<()> {
        Router::builder(prefix)
            .route(Method::GET, "/healthz", ok)
            .route(Method::HEAD, "/healthz", ok)
            .route(Method::POST, "/token", ok)
            .route(Method::GET, "/signin/provider/{provider}", ok)
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
            .route(Method::GET, "/a", ok)
            .route(Method::GET, "/a", ok)
            .build();
        assert!(twice.err().unwrap().to_string().contains("GET /a"));
    }
}
