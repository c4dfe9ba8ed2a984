//! Hasura's metadata API.

use secrecy::SecretString;
use url::Url;

use crate::config::reading::{ConfigErrors, Reader, Sources};
use crate::config::rows;

/// Hasura's metadata API.
#[derive(Clone, Debug)]
pub struct HasuraConfig {
    /// `HASURA_GRAPHQL_GRAPHQL_URL`; `None`: nothing is called.
    pub graphql_url: Option<Url>,
    /// `HASURA_GRAPHQL_ADMIN_SECRET`.
    pub admin_secret: SecretString,
}

impl HasuraConfig {
    /// Only this part, for commands that need nothing else.
    pub fn from_sources(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(sources);
        let config = Self::read(&mut reader);
        reader.checked(config)
    }

    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            graphql_url: reader.http_url(&rows::hasura::HASURA_GRAPHQL_GRAPHQL_URL),
            admin_secret: reader.secret(&rows::hasura::HASURA_GRAPHQL_ADMIN_SECRET),
        }
    }
}
