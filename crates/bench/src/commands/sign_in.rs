//! `keywright bench sign-in`: accounts that are there already, or a new anonymous user each time.

use std::sync::Arc;

use anyhow::bail;

use super::sign_up;
use crate::args::{AccountArgs, LoadArgs, SignInArgs, SignInKind, SignUpKind};
use crate::calls::accounts;
use crate::calls::link::{Addresses, LinkSignIn};
use crate::calls::mail_sink::MailSink;
use crate::calls::session_request::SessionRequest;
use crate::calls::{Call, Calls, Operations};
use crate::client::{Client, Outcome};
use crate::control::Control;
use crate::load::{counts, measure_all, most, targets};
use crate::report::Report;
use crate::run::Point;
use crate::target::Target;

/// The name in reports.
pub const NAME: &str = "sign-in";
/// Most accounts that are signed up if nothing else is said: a hash each.
const MAX_DEFAULT_ACCOUNTS: usize = 256;

/// Measures sign-ins.
pub async fn sign_in(args: &SignInArgs, control: &Control) -> anyhow::Result<Report> {
    let counts = counts(&args.load)?;
    let targets = targets(&args.load).await?;
    let ways = SignIns::open(args.kind, &args.accounts, most(&counts)?).await?;
    let mut servers = Vec::new();
    for target in targets {
        let call = ways.call(&target, &args.load, control).await?;
        servers.push((target, Operations::only(NAME, Calls::Shared(call))));
    }
    let (load, points) = (&args.load, Point::closed(&counts));
    let mut report = measure_all(NAME, load, &args.database, points, servers, control).await?;
    report.kind = Some(args.kind.name());
    Ok(report)
}

/// Sign-ins of one kind, for all servers.
pub struct SignIns {
    kind: SignInKind,
    accounts: usize,
    /// For links.
    mailbox: Option<Arc<MailSink>>,
}

impl SignIns {
    /// With a mailbox if the kind needs one.
    pub async fn open(
        kind: SignInKind,
        args: &AccountArgs,
        connections: usize,
    ) -> anyhow::Result<Self> {
        let asked = args.accounts.map(usize::try_from).transpose()?;
        let accounts = match kind {
            // Nobody waits for two mails at once.
            SignInKind::Link => asked.unwrap_or(connections).max(connections),
            _ => asked.unwrap_or(connections.min(MAX_DEFAULT_ACCOUNTS)),
        };
        let mailbox = match kind {
            SignInKind::Link => Some(Arc::new(MailSink::start(args.mail_port).await?)),
            _ => None,
        };
        Ok(Self { kind, accounts, mailbox })
    }

    /// The sign-ins of one server, after they have worked once.
    pub async fn call(
        &self,
        target: &Arc<Target>,
        args: &LoadArgs,
        control: &Control,
    ) -> anyhow::Result<Call> {
        let accounts = |with_pat| accounts::make(target, args, self.accounts, with_pat, control);
        match (self.kind, &self.mailbox) {
            (SignInKind::Anonymous, _) => {
                let request = sign_up::request(SignUpKind::Anonymous, target, args).await?;
                Ok(Call::Session(request))
            }
            (SignInKind::Password, _) => {
                let bodies = accounts(false).await?;
                Ok(Call::Session(SessionRequest::in_turn("/signin/email-password", bodies)))
            }
            (SignInKind::Pat, _) => {
                let bodies = accounts(true).await?;
                Ok(Call::Session(SessionRequest::in_turn("/signin/pat", bodies)))
            }
            (SignInKind::Link, Some(mailbox)) => {
                let addresses = Addresses::new(&args.email_prefix, self.accounts);
                let (mailbox, addresses) = (Arc::clone(mailbox), Arc::new(addresses));
                let port = mailbox.address().port();
                let mut link = LinkSignIn::new(mailbox, addresses, args.timeout);
                let mut client = Client::new(Arc::clone(target), args.timeout);
                match link.perform(&mut client).await {
                    Outcome::Ok => Ok(Call::Link(link)),
                    outcome => bail!(
                        "sign-in by link does not work on {}: {}; set \
                         AUTH_EMAIL_PASSWORDLESS_ENABLED=true, AUTH_SMTP_HOST=127.0.0.1, \
                         AUTH_SMTP_PORT={port} and AUTH_RECIPIENT_LIMITS=off on a server made for measuring",
                        target.url,
                        outcome.text()
                    ),
                }
            }
            (SignInKind::Link, None) => bail!("sign-ins by link without a mailbox"),
        }
    }
}
