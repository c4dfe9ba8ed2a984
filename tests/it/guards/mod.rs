//! What stands before several flows: limits, attempts, concealment, Turnstile.

mod attempts;
mod conceal_errors;
mod enumeration;
mod limits_of_nodes;
mod prefetch;
mod races;
mod rate_limits;
mod recipients;
mod route_rules;
mod turnstile;
mod typed_codes;
