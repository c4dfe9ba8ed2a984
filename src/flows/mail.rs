//! Mail that belongs to a ticket: both are written in one transaction.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::actors::courier::CourierMsg;
use crate::app::App;
use crate::domain::error::AuthError;
use crate::domain::ids::UserId;
use crate::notify::link;
use crate::notify::message::Template;
use crate::persistence::outbox::{self, NewMessage};
use crate::persistence::tickets;
use crate::tokens::ticket::{Ticket, TicketKind};

/// Whom to write to, and what the template says about them.
#[derive(Debug)]
pub struct Recipient<'a> {
    pub user_id: UserId,
    /// The stored address, never the typed one (S-23).
    pub email: &'a str,
    pub display_name: &'a str,
    pub locale: &'a str,
}

/// A message that is sent once the transaction is committed.
#[must_use = "the courier has to be told after the commit"]
pub struct PromisedMail(Uuid);

impl PromisedMail {
    /// Lets the courier send it now; without this hint its sweep would find it a little later.
    pub fn send(self, app: &App) {
        app.courier.cast(CourierMsg::Deliver(self.0));
    }
}

/// Refuses an operation that needs mail when there is no way to send any.
pub fn require_transport(app: &App) -> Result<(), AuthError> {
    if app.mail.load().can_send() {
        return Ok(());
    }
    Err(AuthError::internal("mail is needed", "no transport: set AUTH_SMTP_HOST"))
}

/// Issues a ticket and promises the mail with its link; the caller owns the transaction.
pub async fn promise_link(
    app: &App,
    db: &mut PgConnection,
    kind: TicketKind,
    template: Template,
    recipient: &Recipient<'_>,
    redirect_to: &str,
) -> Result<PromisedMail, AuthError> {
    let config = app.config.load_full();
    let now = app.clock.now();
    let ticket = Ticket::generate(kind);
    let expires_at = now + kind.lifetime();
    tickets::put(&mut *db, recipient.user_id, kind.name(), &ticket.hash(), now, expires_at)
        .await?;
    let link_type = kind.link_type().unwrap_or_default();
    let link =
        link::build(config.server.server_url.as_ref(), ticket.expose(), link_type, redirect_to);
    let id = Uuid::new_v4();
    outbox::enqueue(
        &mut *db,
        &NewMessage {
            id,
            user_id: Some(recipient.user_id),
            recipient: recipient.email,
            template,
            locale: recipient.locale,
            link: &link,
            display_name: recipient.display_name,
            email: recipient.email,
            new_email: "",
            ticket: ticket.expose(),
            redirect_to,
            server_url: config.server.server_url.as_ref().map_or("", |url| url.as_str()),
            client_url: &config.server.client_url,
            created_at: now,
            expires_at,
        },
    )
    .await?;
    Ok(PromisedMail(id))
}
