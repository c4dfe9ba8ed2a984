//! `keywright bench sign-up`: somebody new with each request.

use std::sync::Arc;

use anyhow::bail;

use crate::args::{LoadArgs, SignUpArgs, SignUpKind};
use crate::calls::session_request::SessionRequest;
use crate::calls::{Call, Calls, Operations};
use crate::client::{Client, Outcome};
use crate::control::Control;
use crate::load::{counts, measure_all, targets};
use crate::report::Report;
use crate::run::Point;
use crate::sign_in_method::SignInMethod;
use crate::target::Target;

/// The name in reports.
pub const NAME: &str = "sign-up";

/// Measures sign-ups.
pub async fn sign_up(args: &SignUpArgs, control: &Control) -> anyhow::Result<Report> {
    let counts = counts(&args.load)?;
    let mut servers = Vec::new();
    for target in targets(&args.load).await? {
        let request = request(args.kind, &target, &args.load).await?;
        servers.push((target, Operations::only(NAME, Calls::Shared(Call::Session(request)))));
    }
    let (load, points) = (&args.load, Point::closed(&counts));
    let mut report = measure_all(NAME, load, &args.database, points, servers, control).await?;
    report.kind = Some(args.kind.name());
    Ok(report)
}

/// The request, after it has worked once.
pub async fn request(
    kind: SignUpKind,
    target: &Arc<Target>,
    args: &LoadArgs,
) -> anyhow::Result<SessionRequest> {
    let (method, advice) = match kind {
        SignUpKind::Anonymous => (SignInMethod::Anonymous, "set AUTH_ANONYMOUS_USERS_ENABLED=true"),
        SignUpKind::Password => (
            SignInMethod::sign_up(args),
            "set AUTH_DISABLE_SIGNUP=false and AUTH_RATE_LIMIT_ENABLE=false",
        ),
    };
    let name = method.name();
    let request = SessionRequest::new(method);
    let mut client = Client::new(Arc::clone(target), args.timeout);
    match request.clone().perform(&mut client).await {
        Outcome::Ok => Ok(request),
        outcome => bail!(
            "{name} does not work on {}: {}; {advice} on a server made for measuring",
            target.url,
            outcome.text()
        ),
    }
}
