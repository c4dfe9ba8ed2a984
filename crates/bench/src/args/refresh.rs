//! Arguments of `keywright bench refresh`.

use clap::Args;

use super::database::DatabaseArgs;
use super::load::LoadArgs;
use super::population::PopulationArgs;

/// `keywright bench refresh`.
#[derive(Clone, Debug, Args)]
pub struct RefreshArgs {
    #[command(flatten)]
    pub load: LoadArgs,
    /// Measures once more while this many connections sign in with a password, one sign-in after
    /// the other; before that, the rate of these sign-ins alone.
    #[arg(long, visible_alias = "storm", value_name = "N",
          conflicts_with_all = ["population", "population_file"],
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub sign_in_burst: Option<u16>,
    /// Measures with `auth.refresh_tokens` filled up to this many rows, in ascending order; what was
    /// added is removed at the end.
    #[arg(long, value_delimiter = ',', value_name = "N", requires = "database_url",
          conflicts_with_all = ["population", "population_file"],
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub rows: Vec<u64>,
    #[command(flatten)]
    pub population: PopulationArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
}
