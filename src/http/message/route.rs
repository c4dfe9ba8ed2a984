//! The route of a request, and the rules that it was mounted with.

use std::sync::Arc;

use http::HeaderValue;

/// A rate limit beside the one of all requests; each has settings `AUTH_RATE_LIMIT_*` of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// A mail is sent, whatever the settings.
    Email,
    /// A mail is sent while addresses have to be verified.
    VerificationEmail,
    /// An SMS is sent.
    Sms,
    /// A secret that can be guessed is checked.
    BruteForce,
    /// A user may be created.
    SignUps,
    /// A sign-in with an external provider begins.
    Providers,
}

/// The limits of a route beside the one of all requests, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits(&'static [Limit]);

impl Limits {
    /// Nothing is sent, created or guessed here.
    pub const NONE: Self = Self(&[]);

    /// These, in the order of [`Limit`]; the first that refuses ends the matter.
    pub const fn of(limits: &'static [Limit]) -> Self {
        Self(limits)
    }

    /// All of them.
    pub fn all(self) -> &'static [Limit] {
        self.0
    }
}

/// Whether a route asks for proof that a person is there (`AUTH_TURNSTILE_SECRET`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turnstile {
    Asked,
    NotAsked,
}

/// How large a body a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodySize {
    /// 64 KiB at the most.
    Ordinary,
    /// `AUTH_HTTP_MAX_BODY_BYTES`, since metadata is in it.
    WithMetadata,
}

/// What a route is mounted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteRules {
    pub limits: Limits,
    pub turnstile: Turnstile,
    pub body: BodySize,
    /// For this machine only: no other host name, and no pages of others.
    pub is_local: bool,
    /// Asked by what watches this server: outside every limit, or it would be restarted for load.
    pub is_probe: bool,
    /// A `GET` that begins something or uses it up: nothing for those who only look ahead.
    pub is_for_people: bool,
}

impl RouteRules {
    /// The rules of a route about which nothing else is said.
    pub const fn new(limits: Limits, turnstile: Turnstile) -> Self {
        Self {
            limits,
            turnstile,
            body: BodySize::Ordinary,
            is_local: false,
            is_probe: false,
            is_for_people: false,
        }
    }
}

/// The methods of a path, as `Allow` has them; `None` where there is no such path.
pub type PathMethods = Arc<dyn Fn(&str) -> Option<HeaderValue> + Send + Sync>;

/// A route that was found.
#[derive(Debug)]
pub struct Found {
    /// Its place in the router's list.
    pub place: usize,
    pub params: Vec<(String, String)>,
    /// Bytes of the path that are the API prefix.
    pub prefix_length: usize,
    pub rules: RouteRules,
}

/// Why no route was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Missed {
    /// No route has this path.
    Path,
    /// The path exists with other methods only, those of the `Allow` header.
    Method { allow: HeaderValue },
    /// The route is there for other host names only.
    Host,
    /// A browser asks before anybody has followed the link.
    Prefetch,
}
