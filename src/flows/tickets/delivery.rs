//! Whether a response waits for the mail that belongs to it (`AUTH_MAIL_DELIVERY`).

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::app::App;
use crate::config::{MailDelivery, MailTransport};
use crate::domain::ids::MessageId;
use crate::persistence::outbox;

/// Longest wait; the response is the same then.
const LONGEST: Duration = Duration::from_secs(5);

/// How often the outbox is asked. It says what became of a message whichever node tried it.
const EVERY: Duration = Duration::from_millis(20);

/// Waits until a committed message was delivered, or the first attempt failed, if this server does so.
///
/// No connection is held meanwhile, and nothing depends on the wait: the message stays in the outbox.
pub async fn wait_for_first_attempt(app: &App, id: MessageId) {
    if !waits(app) {
        return;
    }
    let _ = timeout(LONGEST, attempted(app, id)).await;
}

/// Mail that is only captured is there when the response is. Elsewhere the wait would tell which
/// addresses have an account, for nothing is sent to others: where that is concealed nobody waits.
fn waits(app: &App) -> bool {
    let config = app.config();
    if matches!(config.mail.transport, MailTransport::Capture { .. }) {
        return true;
    }
    config.mail.delivery == MailDelivery::BeforeResponse && !config.server.conceal_errors
}

async fn attempted(app: &App, id: MessageId) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match outbox::is_untried(&app.pool, id).await {
            Ok(true) => {}
            // It was written, so the response is what it is.
            Ok(false) | Err(_) => return,
        }
    }
}
