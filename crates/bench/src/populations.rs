//! The populations of a run, one for each server: made, measured with, and removed or kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use crate::args::{DatabaseArgs, LoadArgs, Operation, Origin, PopulationArgs};
use crate::control::Control;
use crate::database::database;
use crate::population::Population;
use crate::population::file::{self, KeptPopulation};
use crate::population::seed::{Seed, Seeder};
use crate::progress::Progress;
use crate::sessions::Accounts;
use crate::sign_in_method::Tokens;
use crate::target::Target;

/// What a command wants.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub load: &'a LoadArgs,
    pub population: &'a PopulationArgs,
    pub databases: &'a DatabaseArgs,
    /// How many sessions; a file that exists knows that itself.
    pub sessions: Option<u64>,
    /// As many as connections at least, so that each has something to do.
    pub least: usize,
    /// How many must belong to users who have a profile to read.
    pub with_profile: usize,
}

/// What there is, in the order of the servers.
#[derive(Debug)]
pub struct Populations {
    sides: Vec<OnServer>,
    file: Option<PathBuf>,
    keep: bool,
}

#[derive(Debug)]
struct OnServer {
    url: String,
    database: Option<PgConnectOptions>,
    seed: Option<Seed>,
    population: Arc<Population>,
}

impl Populations {
    /// Reads them from the file of another run, or makes them.
    pub async fn make(
        wanted: &Wanted<'_>,
        targets: &[Arc<Target>],
        control: &Control,
    ) -> anyhow::Result<Self> {
        let PopulationArgs { population_file, keep_population, .. } = wanted.population;
        let (file, keep) = (population_file.clone(), *keep_population);
        let mut databases = Vec::new();
        for url in wanted.databases.by_side() {
            databases.push(match url {
                Some(url) => Some(database(url, wanted.load.allow_remote).await?),
                None => None,
            });
        }
        let kept = file.as_deref().map(file::read).transpose()?.flatten();
        if let (Some(kept), Some(path)) = (kept, &file) {
            let sides = reuse(kept, path, wanted, targets, databases, keep)?;
            return Ok(Self { sides, file, keep });
        }
        let sessions = wanted.sessions.context("--population says how many sessions to make")?;
        let sessions = usize::try_from(sessions)?;
        let least = wanted.least;
        ensure!(
            sessions >= least,
            "--population {sessions}: {least} connections need a session each"
        );
        let mut made = Self { sides: Vec::new(), file, keep };
        for (target, database) in targets.iter().zip(databases) {
            match one(wanted, sessions, target, database, control).await {
                Ok(side) => made.sides.push(side),
                Err(error) => {
                    // The first error says more than one of the cleaning up.
                    made.keep = false;
                    let _ = made.end(control).await;
                    return Err(error);
                }
            }
        }
        Ok(made)
    }

    /// Each server's.
    pub fn by_side(&self) -> impl Iterator<Item = &Arc<Population>> {
        self.sides.iter().map(|side| &side.population)
    }

    /// How many sessions each has.
    pub fn sizes(&self) -> Vec<usize> {
        self.by_side().map(|population| population.size()).collect()
    }

    /// Keeps them in the file, or removes what was written into databases.
    pub async fn end(self, control: &Control) -> anyhow::Result<()> {
        if let Some(path) = self.file.as_deref().filter(|_| self.keep) {
            let kept: Vec<KeptPopulation> = self.sides.iter().map(OnServer::kept).collect();
            file::write(path, &kept)?;
            (control.note)(&format!("the population is kept in {}", path.display()));
            return Ok(());
        }
        for side in &self.sides {
            if let (Some(options), Some(seed)) = (&side.database, side.seed) {
                Seeder::open(options, control.note).await?.close(seed).await?;
            }
        }
        if let Some(path) = self.file.filter(|path| path.exists()) {
            std::fs::remove_file(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }
}

impl OnServer {
    fn kept(&self) -> KeptPopulation {
        let (tokens, with_profile) = self.population.tokens();
        KeptPopulation { url: self.url.clone(), seed: self.seed, with_profile, tokens }
    }
}

/// What another run has kept.
fn reuse(
    kept: Vec<KeptPopulation>,
    path: &Path,
    wanted: &Wanted<'_>,
    targets: &[Arc<Target>],
    databases: Vec<Option<PgConnectOptions>>,
    keep: bool,
) -> anyhow::Result<Vec<OnServer>> {
    let path = path.display();
    let (servers, here) = (kept.len(), targets.len());
    ensure!(servers == here, "{path} is of a run with {servers} servers, this one has {here}");
    let mut sides = Vec::new();
    for (kept, database) in kept.into_iter().zip(databases) {
        let KeptPopulation { url, seed, with_profile, tokens } = kept;
        let count = tokens.len();
        if let Some(asked) = wanted.population.population {
            ensure!(asked == count as u64, "{path} holds {count} sessions, not {asked}");
        }
        ensure!(count >= wanted.least, "{path} holds fewer sessions than connections: {count}");
        ensure!(with_profile >= wanted.with_profile.min(1), "{path} has no users with a profile");
        ensure!(
            keep || seed.is_none() || database.is_some(),
            "{path} is of sessions in a database: name it, so that they are removed at the end, or \
             say --keep-population"
        );
        let population = Arc::new(Population::new(tokens, with_profile));
        sides.push(OnServer { url, database, seed, population });
    }
    Ok(sides)
}

async fn one(
    wanted: &Wanted<'_>,
    sessions: usize,
    target: &Arc<Target>,
    database: Option<PgConnectOptions>,
    control: &Control,
) -> anyhow::Result<OnServer> {
    let url = target.url.clone();
    let default = if database.is_some() { Origin::Database } else { Origin::Http };
    let progress = Arc::new(Progress::new(sessions as u64, "sessions", control.note));
    let side = match (wanted.population.population_from.unwrap_or(default), database) {
        (Origin::Database, None) => bail!(
            "--population-from database: the database of {url} is needed (--database-url, \
             --against-database-url)"
        ),
        (Origin::Database, Some(options)) => {
            let mut seeder = Seeder::open(&options, control.note).await?;
            let (seed, tokens) = seeder.seed(sessions, &control.stop, &progress).await?;
            let population = Arc::new(Population::new(tokens, sessions));
            OnServer { url, database: Some(options), seed: Some(seed), population }
        }
        (Origin::Http, database) => {
            let with_profile = wanted.with_profile.min(sessions);
            let mut tokens = Vec::with_capacity(sessions);
            if with_profile > 0 {
                let accounts = Accounts::with_profile(wanted.load);
                let made = accounts.open(target, with_profile, uuid_of, control, &progress);
                tokens = made.await?;
            }
            if sessions > tokens.len() {
                let accounts = Accounts::from_args(wanted.load, Operation::Refresh)?;
                let rest = sessions - tokens.len();
                tokens.extend(accounts.open(target, rest, uuid_of, control, &progress).await?);
            }
            control.go_on()?;
            let population = Arc::new(Population::new(tokens, with_profile));
            OnServer { url, database, seed: None, population }
        }
    };
    progress.finish();
    Ok(side)
}

fn uuid_of(tokens: &Tokens) -> anyhow::Result<Uuid> {
    Uuid::try_parse(&tokens.refresh).context("a population needs refresh tokens that are UUIDs")
}
