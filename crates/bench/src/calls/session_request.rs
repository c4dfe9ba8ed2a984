//! Sign-ups and sign-ins by one request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use uuid::Uuid;

use crate::client::{Client, Outcome};
use crate::population::Population;
use crate::sign_in_method::{SignInMethod, session_tokens};

/// A request whose response is a session.
#[derive(Clone, Debug)]
pub struct SessionRequest {
    source: Source,
    /// Takes the new sessions.
    population: Option<Arc<Population>>,
}

#[derive(Clone, Debug)]
enum Source {
    /// Somebody new each time.
    New(SignInMethod),
    /// Accounts in turn: the path and the body of each.
    Known { path: &'static str, bodies: Arc<[String]>, next: Arc<AtomicUsize> },
}

impl SessionRequest {
    /// Somebody new each time.
    pub const fn new(method: SignInMethod) -> Self {
        Self { source: Source::New(method), population: None }
    }

    /// One body after the other to this path, over all connections.
    pub fn in_turn(path: &'static str, bodies: Vec<String>) -> Self {
        let source = Source::Known { path, bodies: bodies.into(), next: Arc::default() };
        Self { source, population: None }
    }

    /// The same, and new sessions join a population.
    #[must_use]
    pub fn joining(self, population: &Arc<Population>) -> Self {
        Self { population: Some(Arc::clone(population)), ..self }
    }

    /// One request.
    pub async fn perform(&mut self, client: &mut Client) -> Outcome {
        let status = match &self.source {
            Source::New(method) => {
                let (path, body) = method.request();
                client.post_text(path, None, &body.to_string()).await
            }
            Source::Known { path, bodies, next } => {
                let turn = next.fetch_add(1, Ordering::Relaxed) % bodies.len();
                client.post_text(path, None, &bodies[turn]).await
            }
        };
        match status {
            Ok(StatusCode::OK) => self.read(client.response_body()),
            Ok(status) => Outcome::Refused(status, client.error_code().to_owned()),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    fn read(&self, response: &[u8]) -> Outcome {
        match session_tokens(response) {
            Ok(tokens) => {
                let token = Uuid::try_parse(&tokens.refresh);
                if let (Some(population), Ok(token)) = (&self.population, token) {
                    population.join(token);
                }
                Outcome::Ok
            }
            // Whoever signs up may have to verify the address first, and has signed up all the same.
            Err(_) if matches!(self.source, Source::New(SignInMethod::SignUp { .. })) => {
                Outcome::Ok
            }
            Err(_) => Outcome::Refused(StatusCode::OK, "no session".to_owned()),
        }
    }
}
