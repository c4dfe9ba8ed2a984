//! `keywright bench refresh`: with sessions that never rest, or spread over a population; with each
//! number of rows; with and without a burst of sign-ins.

use std::sync::Arc;

use anyhow::{Context as _, ensure};

use super::closed::closed;
use super::spread::spread;
use crate::args::{Operation, RefreshArgs};
use crate::client::pause;
use crate::control::Control;
use crate::database::database;
use crate::report::Report;
use crate::session_rows::SessionFiller;
use crate::sign_in_burst::SignInBurst;
use crate::target::Target;

/// Measures refreshes as the arguments say.
pub async fn refresh(args: &RefreshArgs, control: &Control) -> anyhow::Result<Report> {
    if args.population.population.is_some() || args.population.population_file.is_some() {
        return spread(args, control).await;
    }
    ensure!(!args.population.cold, "--cold is for --population");
    let Some(url) = args.database.database_url.as_ref().filter(|_| !args.rows.is_empty()) else {
        return with_and_without_burst(args, control).await;
    };
    let options = database(url, args.load.allow_remote).await?;
    let mut filler = SessionFiller::open(&options).await.context("--database-url")?;
    let mut all: Option<Report> = None;
    let mut sizes = args.rows.clone();
    sizes.sort_unstable();
    let work = async {
        for rows in sizes {
            filler.fill_up_to(rows).await.context("cannot fill auth.refresh_tokens")?;
            let mut report = with_and_without_burst(args, control).await?;
            report.results.iter_mut().for_each(|result| result.rows = Some(rows));
            all = Some(Report::joined(all.take(), report));
        }
        anyhow::Ok(())
    };
    let ended = work.await;
    filler.close().await.context("cannot remove the rows that were added")?;
    ended?;
    all.context("no number of rows")
}

async fn with_and_without_burst(args: &RefreshArgs, control: &Control) -> anyhow::Result<Report> {
    let measure = || closed(&args.load, &args.database, Operation::Refresh, control);
    let calm = measure().await?;
    let Some(connections) = args.sign_in_burst else { return Ok(calm) };
    let target = Arc::new(Target::resolve(&args.load.url, args.load.allow_remote).await?);
    let alone = SignInBurst::start(&target, connections, &args.load).await?;
    pause(args.load.seconds).await;
    let alone = alone.stop();
    let burst = SignInBurst::start(&target, connections, &args.load).await?;
    let during_burst = measure().await;
    let rate = burst.stop();
    let mut during_burst = during_burst?;
    for result in &mut during_burst.results {
        result.sign_ins_per_second = Some(rate);
        result.sign_ins_alone_per_second = Some(alone);
    }
    Ok(Report::joined(Some(calm), during_burst))
}
