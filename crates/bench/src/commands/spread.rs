//! Refreshes spread over a population, each session once before any again.

use std::sync::Arc;
use std::time::Duration;

use crate::args::RefreshArgs;
use crate::calls::spread::Spread;
use crate::calls::{Call, Calls, Operations};
use crate::control::Control;
use crate::load::{counts, measure_all, most, targets};
use crate::populations::{Populations, Wanted};
use crate::report::Report;
use crate::restart::wait_for_restarts;
use crate::run::Point;

const NAME: &str = "refresh";

/// Makes the population, measures, and removes what it has written into a database.
pub async fn spread(args: &RefreshArgs, control: &Control) -> anyhow::Result<Report> {
    let targets = targets(&args.load).await?;
    let counts = counts(&args.load)?;
    let wanted = Wanted {
        load: &args.load,
        population: &args.population,
        databases: &args.database,
        sessions: args.population.population,
        least: most(&counts)?,
        with_profile: 0,
    };
    let populations = Populations::make(&wanted, &targets, control).await?;
    let work = async {
        let mut load = args.load.clone();
        if args.population.cold {
            wait_for_restarts(&targets, args.population.cold_wait, control).await?;
            load.warmup = Duration::ZERO;
        }
        let calls = |population: &Arc<_>| {
            let call = Call::Spread(Spread::new(Arc::clone(population), None));
            Operations::only(NAME, Calls::Shared(call))
        };
        let operations = populations.by_side().map(calls);
        let servers = targets.into_iter().zip(operations).collect();
        measure_all(NAME, &load, &args.database, Point::closed(&counts), servers, control).await
    };
    let measured = work.await;
    let sizes = populations.sizes();
    populations.end(control).await?;
    let mut report = measured?;
    report.set_populations(&sizes, None);
    Ok(report)
}
