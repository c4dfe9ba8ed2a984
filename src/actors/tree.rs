//! The supervision tree: every actor, in the order in which they start.

use ractor::{Actor, ActorRef, SpawnErr};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::challenge_store::{self, ChallengeStore};
use super::courier::{self, CourierMsg};
use super::housekeeping::{self, Housekeeping};
use super::key_rotator::{self, KeyRotatorMsg};
use super::limits::messages::RateLimiterMsg;
use super::limits::rate_limiter;
use super::parts::Parts;
use super::passwords::password_hasher::{self, PasswordHasherMsg};
use super::runtime::handle::Handle;
use super::runtime::supervisor::{
    ChildSpec, Criticality, Supervisor, SupervisorArgs, SupervisorMsg,
};
use super::sessions::change_feed::{self, ChangeFeedMsg};
use super::sessions::claims_reader::{self, ClaimsReaderMsg};
use super::sessions::session_registry::{self, SessionRegistry};
use crate::config::Config;

/// Makes of one line an actor: the field of its handle, its start, its place in the tree, its bounds.
macro_rules! tree {
    ($($name:ident: $handle:ty = $start:path, $criticality:ident;)*) => {
        /// The handles of all actors; one set per server.
        pub struct Actors {
            $(pub $name: $handle,)*
        }

        impl Actors {
            fn describe(parts: &Parts) -> (Self, Vec<ChildSpec>) {
                let mut children = Vec::new();
                $(
                    let ($name, child) = $start(parts);
                    children.push(child.with(Criticality::$criticality));
                )*
                (Self { $($name,)* }, children)
            }

            /// Takes over bounds and deadlines of a configuration that was swapped.
            pub fn tune(&self, config: &Config) {
                $(self.$name.tune(config);)*
            }
        }
    };
}

tree! {
    key_rotator: Handle<KeyRotatorMsg> = key_rotator::start, Vital;
    change_feed: Handle<ChangeFeedMsg> = change_feed::start, Vital;
    sessions: SessionRegistry = session_registry::start, Vital;
    claims_reader: Handle<ClaimsReaderMsg> = claims_reader::start, Degrading;
    passwords: Handle<PasswordHasherMsg> = password_hasher::start, Vital;
    challenges: ChallengeStore = challenge_store::start, Vital;
    courier: Handle<CourierMsg> = courier::start, Degrading;
    housekeeping: Housekeeping = housekeeping::start, Degrading;
    rate_limiter: Handle<RateLimiterMsg> = rate_limiter::start, Degrading;
}

/// The root of a running tree.
pub struct Root {
    pub actor: ActorRef<SupervisorMsg>,
    pub ended: JoinHandle<()>,
}

/// Starts every actor. `gave_up` is cancelled when vital ones fail too often.
pub async fn start(parts: &Parts, gave_up: CancellationToken) -> Result<(Actors, Root), SpawnErr> {
    let (actors, children) = Actors::describe(parts);
    let args = SupervisorArgs {
        path: String::new(),
        policy: parts.policy.clone(),
        tree: parts.tree.clone(),
        children,
        gave_up: Some(gave_up),
    };
    let (actor, ended) = Actor::spawn(None, Supervisor, args).await?;
    Ok((actors, Root { actor, ended }))
}
