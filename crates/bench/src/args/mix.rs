//! Arguments of `keywright bench mix`.

use clap::Args;

use super::database::DatabaseArgs;
use super::load::LoadArgs;
use super::population::PopulationArgs;
use super::sign_in::{AccountArgs, SignInKind, SignUpKind};
use super::values::rate;

/// Sessions of a mix if nothing else is said.
pub const MIX_POPULATION: u64 = 10_000;

/// `keywright bench mix`.
#[derive(Clone, Debug, Args)]
pub struct MixArgs {
    #[command(flatten)]
    pub load: LoadArgs,
    /// Requests a second in all; several rates are run one by one. One that cannot be reached shows
    /// the highest that can.
    #[arg(long, value_delimiter = ',', required = true, value_name = "N", value_parser = rate)]
    pub rate: Vec<f64>,
    /// How people sign in. A password takes a hash of many milliseconds, so of high rates it is all
    /// that is measured.
    #[arg(long, value_enum, default_value = "pat")]
    pub sign_in: SignInKind,
    /// How people sign up.
    #[arg(long, value_enum, default_value = "anonymous")]
    pub sign_up: SignUpKind,
    #[command(flatten)]
    pub accounts: AccountArgs,
    #[command(flatten)]
    pub population: PopulationArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
}
