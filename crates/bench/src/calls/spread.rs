//! Refreshes spread over a population.

use std::fmt::Write as _;
use std::sync::Arc;

use http::StatusCode;
use uuid::Uuid;

use super::readers::AccessTokens;
use crate::client::{Client, Outcome};
use crate::population::Population;

/// Refreshes whichever session has its turn.
#[derive(Clone, Debug)]
pub struct Spread {
    population: Arc<Population>,
    /// Takes the access tokens of users who have a profile.
    readers: Option<Arc<AccessTokens>>,
    /// The token as text.
    text: String,
}

impl Spread {
    /// Over this population, with a place for the access tokens that come back.
    pub const fn new(population: Arc<Population>, readers: Option<Arc<AccessTokens>>) -> Self {
        Self { population, readers, text: String::new() }
    }

    /// One refresh.
    pub async fn perform(&mut self, client: &mut Client) -> Outcome {
        let Some(mut turn) = self.population.take().await else { return Outcome::Nothing };
        self.text.clear();
        write!(self.text, "{}", turn.token).expect("a String can always be written to");
        let outcome = client.refresh(&mut self.text).await;
        match outcome {
            Outcome::Ok => {
                let Ok(token) = Uuid::try_parse(&self.text) else {
                    turn.lose();
                    return Outcome::Refused(
                        StatusCode::OK,
                        "the next token is no UUID".to_owned(),
                    );
                };
                turn.token = token;
                if let Some(readers) = self.readers.as_ref().filter(|_| turn.has_profile()) {
                    readers.keep(client.response_body());
                }
            }
            Outcome::Lost => turn.lose(),
            Outcome::Failed(_) => turn.repeat(),
            Outcome::Refused(..) | Outcome::Nothing => {}
        }
        outcome
    }
}
