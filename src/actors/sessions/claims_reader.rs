//! Reads what custom claims are made of, for many users in one statement or query.
//!
//! - Owns: the order of these queries: about one user there is one under way, and what comes to wait
//!   meanwhile is the next batch.
//! - Caches: nothing but the statement; values are in `claims_cache`, which the flow fills.
//! - Writes through: nothing.
//! - Lets a batch that takes long be overtaken, so that one that hangs does not hold up the others.
//! - On restart: calls fail at once and are sent again by their handle; queries under way go on and
//!   reply to their callers.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use time::OffsetDateTime;
use tokio::task::yield_now;

use super::cached_user::CachedUser;
use super::claims_cache::ClaimsCache;
use super::claims_source::{ClaimsError, ClaimsSources};
use crate::actors::parts::Parts;
use crate::actors::runtime::batcher::Batcher;
use crate::actors::runtime::handle::{CallBound, Crash, Handle, MessageOrigin, Slot};
use crate::actors::runtime::supervisor::ChildSpec;
use crate::actors::runtime::tasks::Tasks;
use crate::config::Config;
use crate::domain::clock::Clock;
use crate::domain::custom_claims::CustomClaims;
use crate::domain::ids::UserId;
use crate::metrics::ActorStats;

/// The batcher in the metrics.
pub const READ: &str = "read";

/// The part of `AUTH_JWT_CUSTOM_CLAIMS_TIMEOUT` after which a batch is overtaken.
const PATIENCE: u32 = 4;

/// Beyond the time that a caller waits for claims, so that it is the caller who gives up.
const GRACE: Duration = Duration::from_secs(1);

/// Whose data is wanted, for which claims; equal are those that one result serves.
#[derive(Clone)]
pub struct ClaimsRequest {
    pub custom: Arc<CustomClaims>,
    pub user: Arc<CachedUser>,
    /// What was asked at that time or later is new enough; else only what is asked from now on.
    pub oldest: Option<OffsetDateTime>,
}

impl ClaimsRequest {
    fn key(&self) -> (*const CustomClaims, UserId) {
        (Arc::as_ptr(&self.custom), self.user.user.id)
    }
}

impl Ord for ClaimsRequest {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for ClaimsRequest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ClaimsRequest {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for ClaimsRequest {}

/// What a query said about a user.
#[derive(Clone, Debug)]
pub struct ClaimsReply {
    /// When it left.
    pub asked_at: OffsetDateTime,
    /// JSON in the shape of the selection.
    pub data: Result<Arc<str>, ClaimsError>,
}

/// Messages of the reader.
pub enum ClaimsReaderMsg {
    /// What are this user's claims made of?
    Read(ClaimsRequest, RpcReplyPort<ClaimsReply>),
    /// What came to wait at once is there: let it leave.
    Start,
    /// The batch of this number has ended, with these results in the order of their requests.
    Finished(u64, Vec<(ClaimsRequest, ClaimsReply)>),
    /// Time to see whether a batch takes too long.
    Look,
    /// Panic.
    Crash,
}

impl MessageOrigin for ClaimsReaderMsg {
    fn is_from_caller(&self) -> bool {
        matches!(self, Self::Read(..) | Self::Crash)
    }
}

impl Crash for ClaimsReaderMsg {
    fn crash() -> Self {
        Self::Crash
    }
}

impl CallBound for ClaimsReaderMsg {
    /// As many as refreshes, each of which may need claims.
    fn max_in_flight(config: &Config) -> usize {
        config.actors.session_max_in_flight.saturating_mul(config.actors.session_shards)
    }

    /// Longer than any caller waits.
    fn call_timeout(config: &Config) -> Duration {
        config.actors.call_timeout.max(config.claims.timeout.saturating_add(GRACE))
    }
}

/// The handle, and the child that the tree starts.
pub fn start(parts: &Parts) -> (Handle<ClaimsReaderMsg>, ChildSpec) {
    let slot: Arc<Slot<ClaimsReaderMsg>> = Arc::default();
    let args = ClaimsReaderArgs {
        sources: ClaimsSources {
            config: Arc::clone(&parts.config),
            pool: parts.pool.clone(),
            client: parts.clients.anywhere().clone(),
            claims: ClaimsCache::clone(&parts.claims),
        },
        clock: parts.clock.clone(),
        stats: Arc::clone(slot.stats()),
    };
    let child = ChildSpec::actor("claims_reader", &slot, || ClaimsReader, move || args.clone());
    (Handle::configured("claims reader", slot, &parts.config.load()), child)
}

/// The actor.
pub struct ClaimsReader;

/// What the reader works with.
#[derive(Clone)]
pub struct ClaimsReaderArgs {
    pub sources: ClaimsSources,
    pub clock: Clock,
    pub stats: Arc<ActorStats>,
}

/// What waits, and what is under way.
pub struct ClaimsReaderState {
    args: ClaimsReaderArgs,
    waiting: Batcher<ClaimsRequest, ClaimsReply>,
    /// The last is the one that the batcher knows of; those before it were overtaken.
    under_way: Vec<UnderWay>,
    batches: u64,
    /// Whether a `Start` is on its way.
    starts: bool,
    /// Whether a `Look` is on its way.
    looks: bool,
    tasks: Tasks<ClaimsReaderMsg>,
}

/// A batch that has left.
struct UnderWay {
    number: u64,
    left: Instant,
    asked_at: OffsetDateTime,
    /// Ascending.
    requests: Arc<[ClaimsRequest]>,
    /// Later ones that its results serve too.
    joined: Vec<(ClaimsRequest, RpcReplyPort<ClaimsReply>)>,
    is_overtaken: bool,
}

impl UnderWay {
    /// Whether its result is new enough, and about the same row of the user.
    fn serves(&self, request: &ClaimsRequest) -> bool {
        !self.is_overtaken
            && request.oldest.is_some_and(|oldest| self.asked_at >= oldest)
            && self
                .requests
                .binary_search(request)
                .is_ok_and(|at| Arc::ptr_eq(&self.requests[at].user, &request.user))
    }

    fn end(self, results: &[(ClaimsRequest, ClaimsReply)]) {
        for (request, reply) in self.joined {
            // Without a result its batch panicked, which dropping the port tells.
            if let Some(result) = result_of(&request, results) {
                // The caller may have given up.
                let _ = reply.send(result);
            }
        }
    }
}

fn result_of(
    request: &ClaimsRequest,
    results: &[(ClaimsRequest, ClaimsReply)],
) -> Option<ClaimsReply> {
    let at = results.binary_search_by(|(other, _)| other.cmp(request)).ok()?;
    Some(results[at].1.clone())
}

impl Actor for ClaimsReader {
    type Msg = ClaimsReaderMsg;
    type State = ClaimsReaderState;
    type Arguments = ClaimsReaderArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<ClaimsReaderMsg>,
        args: ClaimsReaderArgs,
    ) -> Result<ClaimsReaderState, ActorProcessingErr> {
        let stats = Arc::clone(&args.stats);
        Ok(ClaimsReaderState {
            args,
            waiting: Batcher::new(stats.batcher(READ)),
            under_way: Vec::new(),
            batches: 0,
            starts: false,
            looks: false,
            tasks: Tasks::of(&myself, &stats),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ClaimsReaderMsg>,
        message: ClaimsReaderMsg,
        state: &mut ClaimsReaderState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ClaimsReaderMsg::Read(request, reply) => {
                match state.under_way.iter_mut().find(|batch| batch.serves(&request)) {
                    Some(batch) => batch.joined.push((request, reply)),
                    None => state.waiting.push(request, reply),
                }
                if state.is_busy() {
                    state.look_later(&myself);
                } else if !std::mem::replace(&mut state.starts, true) {
                    // A batch of refreshes is told of its end at once; those who wake with this one
                    // speak first, or it would leave alone.
                    yield_now().await;
                    myself.send_message(ClaimsReaderMsg::Start)?;
                }
            }
            ClaimsReaderMsg::Start => {
                state.starts = false;
                state.start_batch();
                state.look_later(&myself);
            }
            ClaimsReaderMsg::Finished(number, results) => {
                if let Some(at) = state.under_way.iter().position(|batch| batch.number == number) {
                    let ended = state.under_way.remove(at);
                    if !ended.is_overtaken {
                        state.waiting.finished();
                    }
                    ended.end(&results);
                }
                state.start_batch();
                state.look_later(&myself);
            }
            ClaimsReaderMsg::Look => {
                state.looks = false;
                state.overtake();
                state.look_later(&myself);
            }
            ClaimsReaderMsg::Crash => panic!("the claims reader was told to crash"),
        }
        Ok(())
    }
}

impl ClaimsReaderState {
    /// Whether a batch is under way that is not overtaken.
    fn is_busy(&self) -> bool {
        self.under_way.last().is_some_and(|batch| !batch.is_overtaken)
    }

    fn start_batch(&mut self) {
        let Some(batch) = self.waiting.next_batch(self.args.sources.batch_max()) else { return };
        let asked_at = self.args.clock.now();
        let requests: Arc<[ClaimsRequest]> = batch.keys().cloned().collect();
        self.batches += 1;
        let number = self.batches;
        self.under_way.push(UnderWay {
            number,
            left: Instant::now(),
            asked_at,
            requests: Arc::clone(&requests),
            joined: Vec::new(),
            is_overtaken: false,
        });
        let sources = self.args.sources.clone();
        let read = async move {
            let mut results = Vec::with_capacity(requests.len());
            for same in requests.chunk_by(|one, other| Arc::ptr_eq(&one.custom, &other.custom)) {
                let users: Vec<UserId> = same.iter().map(|request| request.user.user.id).collect();
                let found = Box::pin(sources.read(&same[0].custom, &users)).await;
                let replies = found.into_iter().map(|data| ClaimsReply { asked_at, data });
                results.extend(same.iter().cloned().zip(replies));
            }
            batch.respond(|request| {
                result_of(request, &results).expect("there is a result for each request")
            });
            results
        };
        self.tasks.spawn(read, move |results| {
            ClaimsReaderMsg::Finished(number, results.unwrap_or_default())
        });
    }

    /// Lets the next batch leave if the one under way takes long.
    fn overtake(&mut self) {
        let patience = self.patience();
        if let Some(batch) = self.under_way.last_mut()
            && !batch.is_overtaken
            && batch.left.elapsed() >= patience
        {
            batch.is_overtaken = true;
            self.waiting.finished();
            self.start_batch();
        }
    }

    /// Looks again when the batch under way has had its time.
    fn look_later(&mut self, myself: &ActorRef<ClaimsReaderMsg>) {
        if !self.looks
            && let Some(batch) = self.under_way.last()
            && !batch.is_overtaken
        {
            self.looks = true;
            let left = self.patience().saturating_sub(batch.left.elapsed());
            // Ends by itself, and without the actor nobody looks.
            drop(myself.send_after(left, || ClaimsReaderMsg::Look));
        }
    }

    fn patience(&self) -> Duration {
        self.args.sources.config.load().claims.timeout / PATIENCE
    }
}
