//! Arguments that name databases.

use clap::Args;
use secrecy::SecretString;

use super::values::secret;

/// The databases of the servers under measurement.
#[derive(Clone, Debug, Default, Args)]
pub struct DatabaseArgs {
    /// Database of the server: reports bytes of WAL and statements of each request, and the share of
    /// updates that touch no index.
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub database_url: Option<SecretString>,
    /// The same of the second server.
    #[arg(long, value_name = "URL", requires = "against", value_parser = secret)]
    pub against_database_url: Option<SecretString>,
}

impl DatabaseArgs {
    /// The databases in the order of the servers.
    pub const fn by_side(&self) -> [Option<&SecretString>; 2] {
        [self.database_url.as_ref(), self.against_database_url.as_ref()]
    }
}
