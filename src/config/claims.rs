//! Custom claims of access tokens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::reader::Reader;
use super::settings::place;
use crate::domain::custom_claims::{CustomClaims, InvalidClaim};

pub(super) const CLAIMS: &str = "AUTH_JWT_CUSTOM_CLAIMS";
pub(super) const DEFAULTS: &str = "AUTH_JWT_CUSTOM_CLAIMS_DEFAULTS";

/// Custom claims of access tokens.
#[derive(Clone, Debug)]
pub struct ClaimsConfig {
    /// `AUTH_JWT_CUSTOM_CLAIMS` with `AUTH_JWT_CUSTOM_CLAIMS_DEFAULTS`; `None`: no custom claims, and no work for
    /// them. Another `Arc` means that the settings changed.
    pub custom: Option<Arc<CustomClaims>>,
    /// Both as given, for whoever changes only one.
    pub(super) given: GivenClaims,
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

/// Paths and defaults by name of the claim.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct GivenClaims {
    pub(super) paths: BTreeMap<String, String>,
    pub(super) defaults: Map<String, Value>,
}

impl GivenClaims {
    pub(super) fn check(&self) -> Result<Option<Arc<CustomClaims>>, InvalidClaim> {
        Ok(CustomClaims::new(&self.paths, &self.defaults)?.map(Arc::new))
    }
}

impl ClaimsConfig {
    pub(super) fn read(reader: &mut Reader<'_>, has_hasura: bool) -> Self {
        let given = GivenClaims {
            paths: object(reader, CLAIMS, "an object of strings"),
            defaults: object(reader, DEFAULTS, "an object"),
        };
        let custom = given.check().unwrap_or_else(|error| {
            reader.refuse(CLAIMS, error);
            None
        });
        for name in custom.iter().flat_map(|custom| custom.reserved_names()) {
            reader.warn(
                CLAIMS,
                format!("claim {name:?} is left out: its name belongs to the server"),
            );
        }
        let source = match reader.choice("AUTH_JWT_CUSTOM_CLAIMS_SOURCE") {
            Some("hasura") => ClaimsSource::Hasura,
            Some("postgres") => ClaimsSource::Postgres,
            _ if has_hasura => ClaimsSource::Hasura,
            _ => ClaimsSource::Postgres,
        };
        if custom.is_some() && source == ClaimsSource::Hasura && !has_hasura {
            reader.refuse(
                "AUTH_JWT_CUSTOM_CLAIMS_SOURCE",
                "set HASURA_GRAPHQL_GRAPHQL_URL, or use postgres",
            );
        }
        Self {
            custom,
            given,
            source,
            timeout: reader.duration("AUTH_JWT_CUSTOM_CLAIMS_TIMEOUT", false),
            max_age: reader.duration("AUTH_JWT_CUSTOM_CLAIMS_MAX_AGE", true),
            stale: reader.duration("AUTH_JWT_CUSTOM_CLAIMS_STALE", true),
        }
    }
}

fn object<T: DeserializeOwned + Default>(
    reader: &mut Reader<'_>,
    variable: &'static str,
    expected: &str,
) -> T {
    let errors = reader.errors.len();
    let text = reader.json(variable);
    // Wrong syntax has been reported already.
    if text.is_empty() || reader.errors.len() > errors {
        return T::default();
    }
    serde_json::from_str(&text).unwrap_or_else(|error| {
        reader.refuse(variable, format!("expected {expected}: {}", place(&error)));
        T::default()
    })
}
