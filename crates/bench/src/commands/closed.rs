//! Each connection refreshes, verifies or reads with a session of its own.

use std::sync::Arc;

use crate::args::{DatabaseArgs, LoadArgs, Operation};
use crate::calls::{Call, Calls, Operations};
use crate::control::Control;
use crate::load::{counts, measure_all, most, targets};
use crate::progress::Progress;
use crate::report::Report;
use crate::run::Point;
use crate::sessions::Accounts;
use crate::sign_in_method::Tokens;

/// Measures one server, or two in turns.
pub async fn closed(
    args: &LoadArgs,
    databases: &DatabaseArgs,
    operation: Operation,
    control: &Control,
) -> anyhow::Result<Report> {
    let targets = targets(args).await?;
    let counts = counts(args)?;
    let accounts = Accounts::from_args(args, operation)?;
    let of_use: fn(&Tokens) -> anyhow::Result<String> = match operation {
        Operation::Refresh => |tokens| Ok(tokens.refresh.clone()),
        Operation::Verify | Operation::User => |tokens| Ok(tokens.access.clone()),
    };
    let mut servers = Vec::new();
    for target in targets {
        let most = most(&counts)?;
        let progress = Arc::new(Progress::new(most as u64, "sessions", control.note));
        let tokens = accounts.open(&target, most, of_use, control, &progress).await;
        progress.finish();
        let calls = tokens?.into_iter().map(|token| Call::Own(operation, token)).collect();
        control.go_on()?;
        servers.push((target, Operations::only(operation.name(), Calls::Each(calls))));
    }
    let points = Point::closed(&counts);
    measure_all(operation.name(), args, databases, points, servers, control).await
}
