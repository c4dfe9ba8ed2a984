//! Mail that belongs to a ticket: both are written in one transaction.

use sqlx::PgConnection;

use crate::actors::courier::CourierMsg;
use crate::app::App;
use crate::domain::asked_by::AskedBy;
use crate::domain::code_challenge::CodeChallenge;
use crate::domain::error::AuthError;
use crate::domain::ids::{MessageId, UserId};
use crate::domain::mail::{MailTemplate, MailVariables, NewMessage};
use crate::domain::return_target::ReturnTarget;
use crate::domain::user::User;
use crate::notify::message::mail_link;
use crate::persistence::tickets::NewTicket;
use crate::persistence::{outbox, tickets};
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

/// A message that is sent once the transaction is committed.
#[must_use = "the courier has to be told after the commit"]
pub struct PromisedMail(MessageId);

impl PromisedMail {
    /// Lets the courier send it now; without this hint its sweep would find it a little later.
    pub fn send(self, app: &App) {
        app.actors.courier.cast(CourierMsg::Deliver(self.0));
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
pub async fn promise_ticket(
    app: &App,
    db: &mut PgConnection,
    kind: TicketKind,
    template: MailTemplate,
    recipient: &Recipient<'_>,
    return_target: &ReturnTarget,
    asked_by: &AskedBy,
) -> Result<PromisedMail, AuthError> {
    let config = app.config.load_full();
    let server_url = config.server.server_url.as_ref();
    let now = app.clock.now();
    let ticket = Ticket::generate(kind);
    let expires_at = now + kind.lifetime();
    let hash = stored_hash(app, recipient.user_id, &ticket);
    let challenge = return_target.code_challenge.as_ref().map(CodeChallenge::as_str);
    let new = NewTicket {
        user_id: recipient.user_id,
        purpose: kind.name(),
        hash: &hash,
        created_at: now,
        expires_at,
        code_challenge: challenge,
        asked_by,
    };
    tickets::put(&mut *db, new).await?;
    let redirect_to = return_target.redirect_to.as_str();
    let link = match (server_url, kind.link_type()) {
        (Some(url), Some(link_type)) => mail_link(url, link_type, ticket.expose(), redirect_to),
        _ => String::new(),
    };
    let message = NewMessage {
        id: MessageId::random(),
        user_id: Some(recipient.user_id),
        recipient: recipient.new_email.unwrap_or(recipient.email).to_owned(),
        template,
        locale: recipient.locale.to_owned(),
        variables: MailVariables {
            link: link.into(),
            display_name: recipient.display_name.to_owned(),
            email: recipient.email.to_owned(),
            new_email: recipient.new_email.unwrap_or_default().to_owned(),
            ticket: ticket.expose().into(),
            redirect_to: redirect_to.to_owned(),
            server_url: server_url.map_or_else(String::new, |url| without_slash(url.as_str())),
            client_url: config.server.client_url.clone(),
        },
        created_at: now,
        expires_at,
    };
    Ok(PromisedMail(outbox::enqueue(&mut *db, message).await?))
}

/// [`promise_ticket`] in a transaction of its own, for anybody who asks, and the hint to the courier.
pub async fn send_ticket(
    app: &App,
    kind: TicketKind,
    template: MailTemplate,
    recipient: &Recipient<'_>,
    return_target: &ReturnTarget,
) -> Result<(), AuthError> {
    let mut transaction = app.pool.begin().await?;
    let asked_by = &AskedBy::Anybody;
    let mail =
        promise_ticket(app, &mut transaction, kind, template, recipient, return_target, asked_by)
            .await?;
    transaction.commit().await?;
    mail.send(app);
    Ok(())
}

/// Writes as much as [`promise_ticket`] and its commit would, and leaves nothing.
///
/// For addresses without an account, where the response is the same and so must be its time.
pub async fn pretend_to_promise(app: &App) -> Result<(), AuthError> {
    let mut transaction = app.pool.begin().await?;
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
    let id = outbox::enqueue(&mut transaction, message).await?;
    outbox::withdraw(&mut *transaction, id).await?;
    transaction.commit().await?;
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

/// A bare host, as operators write it; the type of URLs insists on the path `/`.
fn without_slash(url: &str) -> String {
    url.strip_suffix('/').unwrap_or(url).to_owned()
}
