//! Custom claims of access tokens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::config::reading::Reader;
use crate::config::rows;
use crate::domain::custom_claims::{CustomClaims, InvalidClaim, Missing};
use crate::domain::exact_json::ExactJson;
use crate::settings::{Setting, place};

/// Custom claims of access tokens.
#[derive(Clone, Debug)]
pub struct ClaimsConfig {
    /// `AUTH_JWT_CUSTOM_CLAIMS` with `AUTH_JWT_CUSTOM_CLAIMS_DEFAULTS`; `None`: no custom claims,
    /// and no work for them. Another `Arc` means that the settings changed.
    pub custom: Option<Arc<CustomClaims>>,
    /// Both as given, for whoever changes only one.
    pub(in crate::config) given: GivenClaims,
    /// `AUTH_JWT_CUSTOM_CLAIMS_SOURCE` (ours).
    pub source: ClaimsSource,
    /// `AUTH_JWT_CUSTOM_CLAIMS_TIMEOUT` (ours).
    pub timeout: Duration,
    /// `AUTH_JWT_CUSTOM_CLAIMS_MAX_AGE` (ours): for refreshes; 0 is off.
    pub max_age: Duration,
    /// `AUTH_JWT_CUSTOM_CLAIMS_STALE` (ours): when no newer values are to be had; 0 is off.
    pub stale: Duration,
}

/// Where the values of claims come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimsSource {
    /// Hasura, whose relationships the paths name.
    Hasura,
    /// The database, along its foreign keys.
    Postgres,
}

/// Paths and defaults by name of the claim, and `AUTH_JWT_CUSTOM_CLAIMS_MISSING` (ours).
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::config) struct GivenClaims {
    pub(in crate::config) paths: BTreeMap<String, String>,
    pub(in crate::config) defaults: BTreeMap<String, ExactJson>,
    pub(in crate::config) missing: Missing,
}

impl GivenClaims {
    pub(in crate::config) fn check(&self) -> Result<Option<Arc<CustomClaims>>, InvalidClaim> {
        Ok(CustomClaims::new(&self.paths, &self.defaults, self.missing)?.map(Arc::new))
    }
}

impl ClaimsConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>, has_hasura: bool) -> Self {
        let given = GivenClaims {
            paths: object(reader, &rows::claims::JWT_CUSTOM_CLAIMS, "an object of strings"),
            defaults: object(reader, &rows::claims::JWT_CUSTOM_CLAIMS_DEFAULTS, "an object"),
            missing: match reader.choice(&rows::claims::JWT_CUSTOM_CLAIMS_MISSING) {
                Some("omit") => Missing::Omit,
                _ => Missing::Null,
            },
        };
        let custom = given.check().unwrap_or_else(|error| {
            reader.refuse(&rows::claims::JWT_CUSTOM_CLAIMS, error);
            None
        });
        for name in custom.iter().flat_map(|custom| custom.reserved_names()) {
            reader.warn(
                &rows::claims::JWT_CUSTOM_CLAIMS,
                format!("claim {name:?} is left out: its name belongs to the server"),
            );
        }
        let source = match reader.choice(&rows::claims::JWT_CUSTOM_CLAIMS_SOURCE) {
            Some("hasura") => ClaimsSource::Hasura,
            Some("postgres") => ClaimsSource::Postgres,
            _ if has_hasura => ClaimsSource::Hasura,
            _ => ClaimsSource::Postgres,
        };
        if custom.is_some() && source == ClaimsSource::Hasura && !has_hasura {
            reader.refuse(
                &rows::claims::JWT_CUSTOM_CLAIMS_SOURCE,
                "set HASURA_GRAPHQL_GRAPHQL_URL, or use postgres",
            );
        }
        Self {
            custom,
            given,
            source,
            timeout: reader.duration(&rows::claims::JWT_CUSTOM_CLAIMS_TIMEOUT, false),
            max_age: reader.duration(&rows::claims::JWT_CUSTOM_CLAIMS_MAX_AGE, true),
            stale: reader.duration(&rows::claims::JWT_CUSTOM_CLAIMS_STALE, true),
        }
    }
}

fn object<T: DeserializeOwned + Default>(
    reader: &mut Reader<'_>,
    setting: &'static Setting,
    expected: &str,
) -> T {
    let errors = reader.errors.len();
    let text = reader.json(setting);
    // Wrong syntax has been reported already.
    if text.is_empty() || reader.errors.len() > errors {
        return T::default();
    }
    serde_json::from_str(&text).unwrap_or_else(|error| {
        reader.refuse(setting, format!("expected {expected}: {}", place(&error)));
        T::default()
    })
}
