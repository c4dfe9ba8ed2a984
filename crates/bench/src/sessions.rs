//! Makes the sessions that a run refreshes: each is one refresh token that has worked once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::task::JoinSet;

use crate::args::{LoadArgs, Operation, Setup};
use crate::client::{Client, Outcome};
use crate::control::Control;
use crate::progress::Progress;
use crate::sign_in_method::{SignInMethod, Tokens, obtain};
use crate::target::Target;

/// Sessions made at once: few for a few sessions, more for a population.
const MIN_WORKERS: usize = 8;
const MAX_WORKERS: usize = 64;
/// Sessions for which one more worker is worth its connection.
const SESSIONS_OF_WORKER: usize = 256;

/// How to get a session, with what is needed for it.
#[derive(Clone, Debug)]
pub struct Accounts {
    methods: Vec<SignInMethod>,
    timeout: Duration,
}

impl Accounts {
    /// The methods that the arguments permit, in the order in which they are tried.
    pub fn from_args(args: &LoadArgs, operation: Operation) -> anyhow::Result<Self> {
        let mut methods = Vec::new();
        // Who is anonymous has no profile to read.
        let is_auto = args.setup == Setup::Auto && operation != Operation::User;
        if is_auto || args.setup == Setup::Anonymous {
            methods.push(SignInMethod::Anonymous);
        }
        if matches!(args.setup, Setup::Auto | Setup::SignUp) {
            methods.push(SignInMethod::sign_up(args));
        }
        if matches!(args.setup, Setup::Auto | Setup::SignIn) {
            match (&args.email, &args.password) {
                (Some(email), Some(password)) => {
                    let (email, password) = (email.clone(), password.clone());
                    methods.push(SignInMethod::SignIn { email, password });
                }
                _ if args.setup == Setup::SignIn => {
                    bail!("--setup sign-in needs --email and --password");
                }
                _ => {}
            }
        }
        Ok(Self { methods, timeout: args.timeout })
    }

    /// Only accounts that it signs up, whose users have a profile.
    pub fn with_profile(args: &LoadArgs) -> Self {
        Self { methods: vec![SignInMethod::sign_up(args)], timeout: args.timeout }
    }

    /// Makes `count` sessions and returns what is of use of their newest tokens.
    ///
    /// The first session decides about the method: it must also refresh, because a server that requires
    /// verified addresses signs anonymous users in and then refuses to refresh them.
    pub async fn open<T: Send + 'static>(
        &self,
        target: &Arc<Target>,
        count: usize,
        of_use: fn(&Tokens) -> anyhow::Result<T>,
        control: &Control,
        progress: &Arc<Progress>,
    ) -> anyhow::Result<Vec<T>> {
        let mut client = Client::new(Arc::clone(target), self.timeout);
        let mut reasons = Vec::new();
        for method in &self.methods {
            match first(&mut client, method).await {
                Ok(tokens) => {
                    progress.add(1);
                    let first = of_use(&tokens)?;
                    let others = self.others(target, method, count - 1, of_use, control, progress);
                    let mut all = others.await?;
                    all.insert(0, first);
                    return Ok(all);
                }
                Err(reason) => reasons.push(format!("  {}: {reason:#}", method.name())),
            }
        }
        bail!(
            "{} gives no session that can be refreshed:\n{}\nSet AUTH_ANONYMOUS_USERS_ENABLED=true \
             and AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED=false on a server made for measuring, or \
             name a verified account with --email and --password",
            target.url,
            reasons.join("\n")
        )
    }

    async fn others<T: Send + 'static>(
        &self,
        target: &Arc<Target>,
        method: &SignInMethod,
        count: usize,
        of_use: fn(&Tokens) -> anyhow::Result<T>,
        control: &Control,
        progress: &Arc<Progress>,
    ) -> anyhow::Result<Vec<T>> {
        let left = Arc::new(AtomicUsize::new(count));
        let mut workers = JoinSet::new();
        for _ in 0..(count / SESSIONS_OF_WORKER).clamp(MIN_WORKERS, MAX_WORKERS).min(count) {
            let mut client = Client::new(Arc::clone(target), self.timeout);
            let (method, left) = (method.clone(), Arc::clone(&left));
            let (control, progress) = (control.clone(), Arc::clone(progress));
            workers.spawn(async move {
                let mut made = Vec::new();
                let take = |left: usize| left.checked_sub(1);
                while !control.is_stopped()
                    && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
                {
                    made.push(of_use(&obtain(&mut client, &method).await?)?);
                    progress.add(1);
                }
                anyhow::Ok(made)
            });
        }
        let mut all = Vec::with_capacity(count);
        while let Some(made) = workers.join_next().await {
            let made = made.context("a set-up task ended")?;
            all.extend(made.context("the first session could be made, a later one not")?);
        }
        Ok(all)
    }
}

async fn first(client: &mut Client, method: &SignInMethod) -> anyhow::Result<Tokens> {
    let mut tokens = obtain(client, method).await?;
    match client.refresh(&mut tokens.refresh).await {
        Outcome::Ok => Ok(tokens),
        Outcome::Lost => bail!("signed in, but the refresh gave 401 invalid-refresh-token"),
        Outcome::Refused(status, code) => {
            bail!("signed in, but the refresh gave {} {code}", status.as_u16())
        }
        Outcome::Failed(failure) => bail!("signed in, but the refresh: {}", failure.kind()),
        Outcome::Nothing => bail!("signed in, but there was nothing to refresh"),
    }
}
