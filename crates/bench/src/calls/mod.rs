//! What a connection sends, again and again.

pub mod accounts;
pub mod link;
pub mod mail_sink;
pub mod readers;
pub mod session_request;
pub mod spread;

use std::time::Duration;

use self::link::LinkSignIn;
use self::readers::Read;
use self::session_request::SessionRequest;
use self::spread::Spread;
use crate::args::Operation;
use crate::client::{Client, Outcome};

/// One kind of request, with what is needed to send it.
#[derive(Clone, Debug)]
pub enum Call {
    /// With a session of the connection's own, whose newest token this is.
    Own(Operation, String),
    /// A refresh of whichever session of a population has its turn.
    Spread(Spread),
    /// With an access token that a refresh has just given.
    Read(Read),
    /// A sign-up, or a sign-in by one request.
    Session(SessionRequest),
    /// A sign-in by a mailed link.
    Link(LinkSignIn),
}

impl Call {
    /// Sends it and waits for what it comes to.
    pub async fn perform(&mut self, client: &mut Client) -> Outcome {
        match self {
            Self::Own(Operation::Refresh, token) => client.refresh(token).await,
            Self::Own(Operation::Verify, token) => client.verify(token).await,
            Self::Own(Operation::User, token) => client.user(token).await,
            Self::Spread(spread) => spread.perform(client).await,
            Self::Read(read) => read.perform(client).await,
            Self::Session(request) => request.perform(client).await,
            Self::Link(link) => link.perform(client).await,
        }
    }

    /// Whether nothing is left to send after a session was lost.
    pub const fn ends_with_its_session(&self) -> bool {
        matches!(self, Self::Own(..))
    }

    /// The times of the steps of the last good call, if it had several.
    pub fn steps(&self) -> &[(&'static str, Duration)] {
        match self {
            Self::Link(link) => link.steps(),
            _ => &[],
        }
    }
}

/// The calls of one kind for all connections to a server.
#[derive(Clone, Debug)]
pub struct Operations {
    /// The name in the report.
    pub name: &'static str,
    /// Its share of the arrivals of an open loop, among those of the others.
    pub weight: u32,
    pub calls: Calls,
}

/// How connections come by their calls.
#[derive(Clone, Debug)]
pub enum Calls {
    /// Each has its own; at least as many as connections.
    Each(Vec<Call>),
    /// What all share is shared behind a pointer.
    Shared(Call),
}

impl Operations {
    /// The only kind of a run.
    pub fn only(name: &'static str, calls: Calls) -> Vec<Self> {
        vec![Self { name, weight: 1, calls }]
    }

    /// The call of one connection.
    pub fn of_connection(&self, index: usize) -> Call {
        match &self.calls {
            Calls::Each(calls) => calls[index].clone(),
            Calls::Shared(call) => call.clone(),
        }
    }
}
