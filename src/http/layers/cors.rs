//! Cross-origin headers as the reference sends them: every origin is reflected.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::local::LocalPaths;
use super::middleware::{Enter, Middleware};
use crate::http::message::call::{Inbound, Reply};
use crate::http::message::route::PathMethods;

/// Responds to `OPTIONS` on any path and adds the headers to what has an `Origin`, but for paths that
/// are for this machine only.
#[derive(Clone)]
pub struct Cors {
    local: LocalPaths,
    methods: PathMethods,
}

/// Headers of responses that scripts of other origins may read, besides the few that they always may.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Retry-After, X-Request-Id, RateLimit, RateLimit-Policy");

/// What a path that is not there is said to allow, as the reference says of every path.
const USUAL_METHODS: HeaderValue = HeaderValue::from_static("POST, GET");

impl<B> Middleware<Inbound<B>> for Cors {
    type Out = Inbound<B>;
    type Exit = Option<Grant>;

    fn enter(&self, inbound: Inbound<B>) -> Enter<Inbound<B>, Option<Grant>> {
        let headers = inbound.request.headers();
        let origin = headers.get(ORIGIN).filter(|value| !value.is_empty()).cloned();
        let is_preflight = inbound.request.method() == Method::OPTIONS;
        let path = inbound.request.uri().path();
        let is_asked = (is_preflight || origin.is_some()) && !self.local.contains(path);
        let grant = is_asked.then(|| Grant {
            origin,
            methods: (self.methods)(path).unwrap_or(USUAL_METHODS),
            exposed: (!is_preflight).then_some(EXPOSED),
            headers: headers
                .get(ACCESS_CONTROL_REQUEST_HEADERS)
                .filter(|value| !value.is_empty())
                .cloned(),
        });
        if is_preflight {
            let mut reply = Reply::default();
            *reply.status_mut() = StatusCode::NO_CONTENT;
            return Enter::Respond(Self::grant(grant, reply));
        }
        Enter::Pass(inbound, grant)
    }

    fn leave(grant: Option<Grant>, reply: Reply) -> Reply {
        Self::grant(grant, reply)
    }
}

impl Cors {
    /// For all paths but those of this machine, with the methods that each of them has.
    pub fn new(local: LocalPaths, methods: PathMethods) -> Self {
        Self { local, methods }
    }

    fn grant(grant: Option<Grant>, mut reply: Reply) -> Reply {
        if let Some(grant) = grant {
            grant.write(reply.headers_mut());
        }
        reply
    }
}

/// What this request is allowed.
#[derive(Debug)]
pub struct Grant {
    origin: Option<HeaderValue>,
    methods: HeaderValue,
    headers: Option<HeaderValue>,
    exposed: Option<HeaderValue>,
}

impl Grant {
    fn write(self, headers: &mut HeaderMap) {
        if let Some(origin) = self.origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
        if let Some(allowed) = self.headers {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        }
        if let Some(exposed) = self.exposed {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        let fixed = HeaderValue::from_static;
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, fixed("true"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, fixed("86400"));
        headers.append(VARY, fixed("Origin, Access-Control-Request-Method"));
    }
}
