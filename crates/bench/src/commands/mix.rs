//! `keywright bench mix`: a day in miniature, at a rate that does not depend on responses.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::sign_in::{self, SignIns};
use super::sign_up;
use crate::args::{LoadArgs, MIX_POPULATION, MixArgs, Operation};
use crate::calls::readers::{AccessTokens, Read};
use crate::calls::spread::Spread;
use crate::calls::{Call, Calls, Operations};
use crate::client::{Client, Outcome};
use crate::control::Control;
use crate::load::{counts, measure_all, most, targets};
use crate::population::Population;
use crate::populations::{Populations, Wanted};
use crate::report::Report;
use crate::restart::wait_for_restarts;
use crate::run::Point;
use crate::target::Target;

const NAME: &str = "mix";
/// Of fifty requests: refreshes, reads of the user, sign-ins, sign-ups, verifications.
const WEIGHTS: [u32; 5] = [40, 6, 2, 1, 1];
/// Users with a profile where the population is made over HTTP; each takes a hash.
const READERS: usize = 64;
/// Refreshes before the measurement, after which there are access tokens to read with.
const FIRST_REFRESHES: usize = 32;

/// Makes the population and the accounts, measures, and removes what it has written into a database.
pub async fn mix(args: &MixArgs, control: &Control) -> anyhow::Result<Report> {
    let targets = targets(&args.load).await?;
    let counts = counts(&args.load)?;
    let rates = &args.rate;
    ensure!(rates.len() * counts.len() <= 32, "at most 32 rates and session counts in one run");
    let wanted = Wanted {
        load: &args.load,
        population: &args.population,
        databases: &args.database,
        sessions: Some(args.population.population.unwrap_or(MIX_POPULATION)),
        least: most(&counts)?,
        with_profile: READERS,
    };
    // What may be refused is asked first, before long work.
    let sign_ins = SignIns::open(args.sign_in, &args.accounts, most(&counts)?).await?;
    let mut calls = Vec::new();
    for target in &targets {
        let sign_up = sign_up::request(args.sign_up, target, &args.load).await?;
        calls.push((sign_in_call(&sign_ins, target, args, control).await?, sign_up));
    }
    let populations = Populations::make(&wanted, &targets, control).await?;
    let work = async {
        let mut load = args.load.clone();
        if args.population.cold {
            wait_for_restarts(&targets, args.population.cold_wait, control).await?;
            load.warmup = Duration::ZERO;
        }
        let mut servers = Vec::new();
        for ((target, population), (sign_in, sign_up)) in
            targets.into_iter().zip(populations.by_side()).zip(calls)
        {
            let readers = first_readers(&target, population, &load).await?;
            let read = |operation| Call::Read(Read::new(operation, Arc::clone(&readers)));
            let spread = Spread::new(Arc::clone(population), Some(Arc::clone(&readers)));
            let sign_in = match sign_in {
                Call::Session(request) => Call::Session(request.joining(population)),
                other => other,
            };
            let calls = [
                (Operation::Refresh.name(), Call::Spread(spread)),
                (Operation::User.name(), read(Operation::User)),
                (sign_in::NAME, sign_in),
                (sign_up::NAME, Call::Session(sign_up.joining(population))),
                (Operation::Verify.name(), read(Operation::Verify)),
            ];
            let operations = calls.into_iter().zip(WEIGHTS).map(|((name, call), weight)| {
                Operations { name, weight, calls: Calls::Shared(call) }
            });
            servers.push((target, operations.collect()));
        }
        let points = counts.iter().flat_map(|&sessions| {
            rates.iter().map(move |&rate| Point { sessions, per_second: Some(rate) })
        });
        measure_all(NAME, &load, &args.database, points.collect(), servers, control).await
    };
    let measured = work.await;
    let sizes = populations.sizes();
    populations.end(control).await?;
    let mut report = measured?;
    report.set_populations(&sizes, Some(Operation::Refresh.name()));
    report.kind = Some(args.sign_in.name());
    Ok(report)
}

async fn sign_in_call(
    sign_ins: &SignIns,
    target: &Arc<Target>,
    args: &MixArgs,
    control: &Control,
) -> anyhow::Result<Call> {
    sign_ins.call(target, &args.load, control).await.context("--sign-in")
}

/// Refreshes some sessions, whose access tokens are the first to read with.
async fn first_readers(
    target: &Arc<Target>,
    population: &Arc<Population>,
    load: &LoadArgs,
) -> anyhow::Result<Arc<AccessTokens>> {
    let readers = Arc::new(AccessTokens::default());
    let mut spread = Spread::new(Arc::clone(population), Some(Arc::clone(&readers)));
    let mut client = Client::new(Arc::clone(target), load.timeout);
    // Over HTTP few have a profile: it may take a round to meet one.
    for refreshed in 0..=population.size() {
        if refreshed >= FIRST_REFRESHES && !readers.is_empty() {
            return Ok(readers);
        }
        let outcome = spread.perform(&mut client).await;
        ensure!(outcome == Outcome::Ok, "{}: a first refresh: {}", target.url, outcome.text());
    }
    ensure!(!readers.is_empty(), "{}: no session has a profile to read", target.url);
    Ok(readers)
}
