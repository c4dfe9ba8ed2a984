//! Sign-ins by a mailed link, from the request for the mail to the session.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use super::mail_sink::MailSink;
use crate::client::{Client, Outcome};

/// Addresses in turns: nobody asks for a second link before following the first.
#[derive(Debug)]
pub struct Addresses {
    free: Mutex<Vec<String>>,
}

impl Addresses {
    /// Made-up addresses, which the server gives accounts to.
    pub fn new(prefix: &str, count: usize) -> Self {
        let address = |_| format!("{prefix}{}@example.com", Uuid::new_v4().simple());
        Self { free: Mutex::new((0..count).map(address).collect()) }
    }
}

/// Asks for a link, waits for the mail, follows the link.
#[derive(Clone, Debug)]
pub struct LinkSignIn {
    mailbox: Arc<MailSink>,
    addresses: Arc<Addresses>,
    timeout: Duration,
    steps: Vec<(&'static str, Duration)>,
}

impl LinkSignIn {
    /// With links from this mailbox; `timeout` is the longest wait for a mail.
    pub const fn new(mailbox: Arc<MailSink>, addresses: Arc<Addresses>, timeout: Duration) -> Self {
        Self { mailbox, addresses, timeout, steps: Vec::new() }
    }

    /// The times of the parts of the last sign-in.
    pub fn steps(&self) -> &[(&'static str, Duration)] {
        &self.steps
    }

    /// One sign-in.
    pub async fn perform(&mut self, client: &mut Client) -> Outcome {
        let address = lock(&self.addresses).pop();
        let Some(address) = address else {
            return Outcome::Refused(StatusCode::OK, "fewer addresses than connections".to_owned());
        };
        let outcome = self.sign_in(client, &address).await;
        // The one that has waited longest is at the end.
        lock(&self.addresses).insert(0, address);
        outcome
    }

    async fn sign_in(&mut self, client: &mut Client, address: &str) -> Outcome {
        self.steps.clear();
        let link = self.mailbox.next_link(address);
        let body = json!({ "email": address }).to_string();
        let begun = Instant::now();
        match client.post_text("/signin/passwordless/email", None, &body).await {
            Ok(StatusCode::OK) => {}
            Ok(status) => return Outcome::Refused(status, client.error_code().to_owned()),
            Err(failure) => return Outcome::Failed(failure),
        }
        let requested = Instant::now();
        let Ok(Ok(link)) = tokio::time::timeout(self.timeout, link).await else {
            return Outcome::Refused(
                StatusCode::OK,
                "no mail with a link (AUTH_RECIPIENT_LIMITS=off?)".to_owned(),
            );
        };
        let arrived = Instant::now();
        let Some((_, query)) = link.split_once("/verify?") else {
            return Outcome::Refused(StatusCode::OK, "no link to /verify".to_owned());
        };
        let status = match client.get(&format!("/verify?{query}")).await {
            Ok(status) => status,
            Err(failure) => return Outcome::Failed(failure),
        };
        let has_session = status == StatusCode::FOUND
            && client.location().is_some_and(|location| location.contains("refreshToken="));
        if !has_session {
            return Outcome::Refused(status, "no session behind the link".to_owned());
        }
        self.steps.push(("request", requested - begun));
        self.steps.push(("mail", arrived - requested));
        self.steps.push(("link", arrived.elapsed()));
        Outcome::Ok
    }
}

fn lock(addresses: &Addresses) -> std::sync::MutexGuard<'_, Vec<String>> {
    addresses.free.lock().unwrap_or_else(PoisonError::into_inner)
}
