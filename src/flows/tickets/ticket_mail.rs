//! Mail that belongs to a ticket: both are written in one transaction.

use sqlx::PgConnection;

use super::delivery::wait_for_first_attempt;
use crate::actors::courier::CourierMsg;
use crate::app::App;
use crate::domain::asked_by::AskedBy;
use crate::domain::code_challenge::CodeChallenge;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::{MessageId, UserId};
use crate::domain::mail::{MailTemplate, MailVariables, NewMessage};
use crate::domain::return_target::ReturnTarget;
use crate::domain::user::User;
use crate::flows::guards::recipients;
use crate::notify::message::{in_words, mail_link, without_slash};
use crate::persistence::tickets::NewTicket;
use crate::persistence::{account_handover, outbox, tickets, users};
use crate::tokens::ticket::{Ticket, TicketKind};

/// Whom to write to, and what the template says about them.
#[derive(Debug)]
pub struct Recipient<'a> {
    pub user_id: UserId,
    /// The stored address, never the typed one
    /// (docs/reference-behaviour.md#mail-goes-to-the-stored-address).
    pub email: &'a str,
    /// The address that is to replace it: it is this one that gets the mail.
    pub new_email: Option<&'a str>,
    pub display_name: &'a str,
    pub locale: &'a str,
}

impl<'a> From<&'a User> for Recipient<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            user_id: user.id,
            email: user.email.as_deref().unwrap_or_default(),
            new_email: None,
            display_name: &user.display_name,
            locale: &user.locale,
        }
    }
}

/// A message that is sent once the transaction is committed, unless its recipient has had enough.
#[must_use = "the courier has to be told after the commit"]
pub struct PromisedMail(Option<MessageId>);

impl PromisedMail {
    /// Whether the recipient has had enough, so that there is neither ticket nor mail.
    pub const fn is_withheld(&self) -> bool {
        self.0.is_none()
    }

    /// Lets the courier send it now; without this hint its sweep would find it a little later. Where
    /// responses wait for mail, this waits, so the caller holds no connection any more.
    pub async fn send(self, app: &App) {
        if let Some(id) = self.0 {
            app.actors.courier.cast(CourierMsg::Deliver(id));
            wait_for_first_attempt(app, id).await;
        }
    }

    /// Takes the promise back within its transaction: the ticket stays, and nobody knows it.
    pub async fn withdraw(self, db: &mut PgConnection) -> Result<(), AuthError> {
        if let Some(id) = self.0 {
            outbox::withdraw(&mut *db, id).await?;
        }
        Ok(())
    }
}

/// Refuses an operation that needs mail when there is no way to send any.
pub fn require_transport(app: &App) -> Result<(), AuthError> {
    if app.mail.load().can_send() {
        return Ok(());
    }
    Err(AuthError::internal("mail is needed", "no transport: set AUTH_SMTP_HOST"))
}

/// Issues a ticket and promises the mail with its link or its code; the caller owns the transaction.
///
/// If the recipient has had enough there is neither, and nobody is told so
/// (docs/reference-behaviour.md#recipients-have-limits).
pub async fn promise_ticket(
    app: &App,
    db: &mut PgConnection,
    kind: TicketKind,
    recipient: &Recipient<'_>,
    return_target: &ReturnTarget,
    asked_by: &AskedBy,
) -> Result<PromisedMail, AuthError> {
    let template = kind.template();
    let template = template.ok_or_else(|| AuthError::internal("no mail brings it", kind.name()))?;
    if kind.is_link() && return_target.leads_nowhere() {
        return Err(ErrorCode::RedirectToNotAllowed.into());
    }
    let config = app.config.load_full();
    let server_url = config.server.server_url.as_ref();
    let now = app.clock.now();
    let ticket = Ticket::generate(kind);
    let expires_at = now + kind.lifetime();
    let hash = stored_hash(app, recipient.user_id, &ticket);
    let challenge = return_target.code_challenge.as_ref().map(CodeChallenge::as_str);
    let address = recipient.new_email.unwrap_or(recipient.email);
    // The user first, as by everybody who changes one; it also keeps two tickets apart.
    if *asked_by != AskedBy::Registration {
        // A registration has just written the row.
        users::lock(&mut *db, recipient.user_id).await?;
    }
    if !Box::pin(recipients::may_mail(app, &mut *db, address, kind)).await? {
        Box::pin(pretend_to_enqueue(app, db)).await?;
        return Ok(PromisedMail(None));
    }
    let new = NewTicket {
        hash: &hash,
        user_id: recipient.user_id,
        purpose: kind.name(),
        created_at: now,
        expires_at,
        code_challenge: challenge,
        email: recipient.new_email,
        asked_by,
    };
    tickets::put(&mut *db, &new).await?;
    let (time, detail) = match kind {
        // Whoever verifies an account keeps what was set up, and so is told what that is.
        TicketKind::VerifyEmail => {
            let ways = account_handover::ways_in(&mut *db, recipient.user_id).await?;
            let told = ways.map(|ways| {
                let used = if ways.is_used { " used" } else { "" };
                (in_words(ways.created_at), format!("{}{used}", ways.names()))
            });
            told.unwrap_or_default()
        }
        _ => Default::default(),
    };
    let redirect_to = return_target.redirect_to.as_str();
    let link = match (server_url, kind.link_type()) {
        (Some(url), Some(link_type)) => mail_link(url, link_type, ticket.expose(), redirect_to),
        _ => String::new(),
    };
    let message = NewMessage {
        id: MessageId::random(),
        user_id: Some(recipient.user_id),
        recipient: address.to_owned(),
        template,
        locale: recipient.locale.to_owned(),
        variables: MailVariables {
            link: link.into(),
            display_name: recipient.display_name.to_owned(),
            email: recipient.email.to_owned(),
            new_email: recipient.new_email.unwrap_or_default().to_owned(),
            ticket: ticket.expose().into(),
            redirect_to: redirect_to.to_owned(),
            server_url: server_url.map(without_slash).unwrap_or_default(),
            client_url: config.server.client_url.clone(),
            time,
            detail,
        },
        created_at: now,
        expires_at,
    };
    Ok(PromisedMail(Some(outbox::enqueue(&mut *db, message).await?)))
}

/// [`promise_ticket`] in a transaction of its own, for anybody who asks, and the hint to the courier.
pub async fn send_ticket(
    app: &App,
    kind: TicketKind,
    recipient: &Recipient<'_>,
    return_target: &ReturnTarget,
) -> Result<(), AuthError> {
    let mut transaction = app.pool.begin_for(recipient.user_id).await?;
    let asked_by = &AskedBy::Anybody;
    let mail =
        promise_ticket(app, &mut transaction, kind, recipient, return_target, asked_by).await?;
    transaction.commit().await?;
    mail.send(app).await;
    Ok(())
}

/// Writes as much as [`promise_ticket`] and its commit would, and leaves nothing.
///
/// For addresses without an account, where the response is the same and so must be its time.
pub async fn pretend_to_promise(app: &App) -> Result<(), AuthError> {
    let mut transaction = app.pool.begin().await?;
    Box::pin(recipients::pretend(app, &mut transaction)).await?;
    Box::pin(pretend_to_enqueue(app, &mut transaction)).await?;
    transaction.commit().await?;
    Ok(())
}

/// Writes a message and takes it back.
async fn pretend_to_enqueue(app: &App, db: &mut PgConnection) -> Result<(), AuthError> {
    let now = app.clock.now();
    let message = NewMessage {
        id: MessageId::random(),
        user_id: None,
        recipient: String::new(),
        template: MailTemplate::EmailVerify,
        locale: String::new(),
        variables: MailVariables::default(),
        created_at: now,
        expires_at: now,
    };
    let id = outbox::enqueue(&mut *db, message).await?;
    outbox::withdraw(&mut *db, id).await?;
    Ok(())
}

/// What is stored of a ticket. Codes are short, so theirs needs a key, and holds for its user only.
pub fn stored_hash(app: &App, user_id: UserId, ticket: &Ticket) -> [u8; 32] {
    match ticket.kind() {
        kind @ (TicketKind::EmailOtp | TicketKind::SmsOtp) => {
            let context = [kind.name().as_bytes(), b":", user_id.0.as_bytes()].concat();
            app.secrets.sealer.hash_code(&context, ticket.expose())
        }
        _ => ticket.hash(),
    }
}
