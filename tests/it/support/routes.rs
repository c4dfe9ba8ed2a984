//! The route table of a running server, so that a route that is added later is walked too.

use keywright::http::pipeline::router::RouteInfo;

use super::app::TestApp;

/// Every route, in the order of registration.
pub(crate) fn of(app: &TestApp) -> Vec<RouteInfo> {
    let loaded = app.app().config();
    let router = keywright::http::routes::router(&loaded.server, &loaded.mail.transport);
    router.expect("it serves").routes().to_vec()
}

/// A path that the route serves.
pub(crate) fn example(path: &str) -> String {
    path.replace("{id}", "00000000-0000-4000-8000-000000000000").replace("{provider}", "github")
}
