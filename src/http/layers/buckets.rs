//! The counters of a route's rate limits, and their policies.

use std::iter;

use crate::actors::limits::counter_store::Subject;
use crate::config::{Config, RateLimits};
use crate::domain::rate_limit::Policy;
use crate::http::message::route::{Limit, Limits};

/// One limit that counts for a request; its name is also that of its counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub name: &'static str,
    pub policy: Policy,
    pub subject: Subject,
}

/// The limit of all requests, and those of the route, in the order in which they are asked.
pub fn buckets(
    config: &Config,
    policies: &RateLimits,
    limits: Limits,
    client: Subject,
) -> impl Iterator<Item = Bucket> {
    let global = Bucket { name: "user-global", policy: policies.global, subject: client };
    let verifies = config.accounts.email_verification_required;
    let own = limits.all().iter().filter_map(move |limit| {
        let (name, policy, subject) = match limit {
            Limit::VerificationEmail if !verifies => return None,
            Limit::Email | Limit::VerificationEmail if policies.email_is_global => {
                ("global-email", policies.email, Subject::All)
            }
            Limit::Email | Limit::VerificationEmail => ("user-email", policies.email, client),
            Limit::Sms => ("user-sms", policies.sms, client),
            Limit::BruteForce => ("user-bruteforce", policies.brute_force, client),
            Limit::SignUps => ("user-signups", policies.signups, client),
            Limit::Providers => ("user-providers", policies.providers, client),
        };
        Some(Bucket { name, policy, subject })
    });
    iter::once(global).chain(own)
}
