//! All figures of a node with their names and labels, as Prometheus reads them.
//!
//! Names follow the conventions: a prefix, base units, `_total` for counters (which the encoder
//! adds). A label has few values: routes, actors, kinds; never anything that a client sends.

use std::fmt;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;

use super::Admin;
use crate::actors::cluster::members::{NodeState, Subject};
use crate::actors::limits::counters::Guard;
use crate::actors::limits::reach::Reach;
use crate::actors::runtime::supervisor::{ChildState, ChildStatus};
use crate::domain::signing_key::KeyState;
use crate::hasura::background::Progress;
use crate::metrics::http::Failure;
use crate::metrics::process::ProcessStats;
use crate::metrics::{ActorStats, BatcherStats, CacheStats, SecurityEvent, Snapshot, TableStats};
use crate::persistence::outbox::Backlog;

/// One reading.
pub struct Exposition {
    pub admin: std::sync::Arc<Admin>,
    /// What Postgres knows of the outbox, if it could be asked.
    pub backlog: Option<Backlog>,
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition").finish_non_exhaustive()
    }
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page { encoder };
        self.node(&mut page)?;
        self.cluster(&mut page)?;
        self.housekeeping(&mut page)?;
        self.http(&mut page)?;
        self.actors(&mut page)?;
        self.batches(&mut page)?;
        self.caches(&mut page)?;
        self.pool(&mut page)?;
        self.mail(&mut page)?;
        self.security(&mut page)?;
        self.signing_keys(&mut page)?;
        process(&mut page)
    }
}

impl Exposition {
    fn node(&self, page: &mut Page<'_>) -> fmt::Result {
        let app = &self.admin.app;
        page.gauges(
            "keywright_build_info",
            "The version that runs here",
            [(labels([("version", env!("CARGO_PKG_VERSION"))]), 1.0)],
        )?;
        let standing = app.tree.is_standing() && !app.gave_up.is_cancelled();
        page.gauge(
            "keywright_tree_standing",
            "Whether every vital actor runs (1) or some are being restarted (0)",
            f64::from(u8::from(standing)),
        )?;
        page.gauge(
            "keywright_degraded_actors",
            "Actors without which the node goes on, and which do not run or fail too often",
            number(app.tree.degraded(app.restart_policy.get()).len()),
        )?;
        let is_pending = matches!(app.hasura.progress(), Progress::Failing(_));
        page.gauge(
            "keywright_hasura_metadata_pending",
            "Whether Hasura does not have its metadata yet and this node is still trying (1)",
            f64::from(u8::from(is_pending)),
        )?;
        page.counters(
            "keywright_hasura_metadata_failures",
            "Attempts to give Hasura its metadata that failed",
            [(Vec::new(), app.hasura.failures.get())],
        )
    }

    /// As this node has heard it.
    fn cluster(&self, page: &mut Page<'_>) -> fmt::Result {
        let members = self.admin.app.cluster.members();
        page.gauges(
            "keywright_cluster_nodes",
            "Nodes on this database whose row is there, by what they are; gone ones are silent for 3 s",
            NodeState::ALL.map(|state| {
                let count = members.iter().filter(|member| member.state == state).count();
                (labels([("state", state.name())]), number(count))
            }),
        )?;
        page.gauges(
            "keywright_cluster_disagreements",
            "Living nodes that disagree with the others about something that must be equal",
            Subject::ALL.map(|subject| {
                let disagree = members.iter().filter(|member| member.disagrees.contains(&subject));
                (labels([("subject", subject.name())]), number(disagree.count()))
            }),
        )
    }

    fn housekeeping(&self, page: &mut Page<'_>) -> fmt::Result {
        let stats = self.admin.app.actors.housekeeping.metrics();
        let of = |table: &TableStats| labels([("table", table.name)]);
        page.gauge(
            "keywright_housekeeping_lease_held",
            "Whether this node keeps house (1) or another one does (0)",
            f64::from(u8::from(stats.keeps_house())),
        )?;
        page.counters(
            "keywright_housekeeping_removed_rows",
            "Expired rows that this node has removed",
            stats.tables().map(|table| (of(table), table.removed.get())),
        )?;
        page.counters(
            "keywright_housekeeping_refused_rows",
            "Expired rows that Postgres did not let go, counted at each attempt",
            stats.tables().map(|table| (of(table), table.refused.get())),
        )?;
        page.counters_f64(
            "keywright_housekeeping_busy_seconds",
            "Time in which a statement of the housekeeping was under way",
            stats.tables().map(|table| (of(table), table.busy().as_secs_f64())),
        )?;
        let vacuum = &stats.vacuum;
        page.counters(
            "keywright_housekeeping_vacuums",
            "Vacuums of the table of sessions by what came of them",
            [
                ("done", &vacuum.done),
                ("without-effect", &vacuum.without_effect),
                ("failed", &vacuum.failed),
            ]
            .map(|(outcome, count)| (labels([("outcome", outcome)]), count.get())),
        )?;
        page.counters_f64(
            "keywright_housekeeping_vacuum_seconds",
            "Time in which a vacuum was under way",
            [(Vec::new(), vacuum.busy.get().as_secs_f64())],
        )
    }

    fn http(&self, page: &mut Page<'_>) -> fmt::Result {
        let http = &self.admin.http;
        let routes: Vec<_> = self
            .admin
            .routes
            .iter()
            .enumerate()
            .map(|(place, route)| {
                (
                    labels([("method", route.method.as_str()), ("route", &route.path)]),
                    http.route(place),
                )
            })
            .chain([(labels([("method", "any"), ("route", "unmatched")]), &http.unmatched)])
            .collect();
        page.counters(
            "keywright_http_requests",
            "Requests that reached a route, by the class of their status; abandoned by their client \
             before the response",
            routes.iter().flat_map(|(route, stats)| {
                stats.outcomes().map(|(status, count)| (with(route, "status", status), count))
            }),
        )?;
        page.histograms(
            "keywright_http_request_duration_seconds",
            "From the end of a request's head to its response; routes appear with their first request",
            routes
                .iter()
                .map(|(route, stats)| (route.clone(), stats.latency.snapshot()))
                .filter(|(_, latency)| latency.count() > 0),
        )?;
        page.gauge(
            "keywright_http_requests_in_flight",
            "Requests that have been admitted and have no response yet",
            number(http.in_flight.load(Ordering::Relaxed)),
        )?;
        page.counters(
            "keywright_http_requests_shed",
            "Requests refused with 503 because of AUTH_HTTP_MAX_CONCURRENCY",
            [(Vec::new(), http.shed.get())],
        )?;
        page.counters(
            "keywright_http_bodies_refused",
            "Requests refused with 503 because of AUTH_HTTP_BODY_BUDGET_MIB",
            [(Vec::new(), http.no_room.get())],
        )?;
        page.counters(
            "keywright_http_connections_closed",
            "Idle connections closed to make room for others",
            [(Vec::new(), http.connections.closed.get())],
        )?;
        page.counters(
            "keywright_http_connections_refused",
            "Connections not accepted because their client network had its share",
            [(Vec::new(), http.connections.refused.get())],
        )?;
        page.counters(
            "keywright_http_connections_parked",
            "Times that a connection gave its buffers back while it waited for its next request",
            [(Vec::new(), http.connections.parked.get())],
        )?;
        page.counters(
            "keywright_http_failures",
            "Requests that failed for a reason of the server",
            Failure::ALL.map(|kind| (labels([("kind", kind.name())]), http.failures(kind))),
        )?;
        let counters = &self.admin.app.counters;
        page.counters(
            "keywright_guard_refusals",
            "Requests and attempts turned away by limits or by Turnstile",
            Guard::ALL.map(|by| (labels([("guard", by.name())]), counters.refusals(by))),
        )?;
        let of = |reach: &Reach| labels([("kind", reach.what().name())]);
        page.gauges(
            "keywright_limits_shared",
            "Whether limits count for all nodes (1), or for this one alone since Postgres does not answer (0)",
            counters.reaches().map(|reach| (of(reach), f64::from(u8::from(reach.is_there())))),
        )?;
        page.counters(
            "keywright_limits_alone",
            "Attempts that this node judged alone, and times that nodes did not hear of its requests",
            counters.reaches().map(|reach| (of(reach), reach.alone())),
        )
    }

    fn actors(&self, page: &mut Page<'_>) -> fmt::Result {
        let app = &self.admin.app;
        let tree = app.tree.list();
        let of_tree = |value: fn(&ChildStatus) -> f64| {
            tree.iter().map(move |(name, child)| (labels([("actor", name)]), value(child)))
        };
        page.gauges(
            "keywright_actor_up",
            "Whether the actor runs (1) or waits for its restart (0)",
            of_tree(|child| f64::from(u8::from(child.state == ChildState::Running))),
        )?;
        page.counters(
            "keywright_actor_restarts",
            "Times that the actor ended and was started again",
            tree.iter().map(|(name, child)| (labels([("actor", name)]), child.restarts)),
        )?;
        let policy = app.restart_policy.get();
        page.gauges(
            "keywright_actor_restarts_in_window",
            "Restarts of the actor within AUTH_ACTOR_RESTART_WINDOW",
            tree.iter().map(|(name, child)| {
                (labels([("actor", name)]), number(child.failures_in(policy.window)))
            }),
        )?;
        page.gauge(
            "keywright_actor_restarts_max",
            "Restarts within the window that a supervisor allows its children",
            f64::from(policy.max_restarts),
        )?;
        let stats: Vec<(&String, &ActorStats)> =
            tree.iter().filter_map(|(name, child)| Some((name, child.stats.as_deref()?))).collect();
        page.gauges(
            "keywright_actor_mailbox_messages",
            "Messages of callers that the actor has not taken yet",
            stats.iter().map(|(name, of)| (labels([("actor", name)]), number(of.queued()))),
        )?;
        page.gauges(
            "keywright_actor_calls_in_flight",
            "Calls of the actor that have no reply yet",
            stats.iter().map(|(name, of)| {
                (labels([("actor", name)]), number(of.in_flight.load(Ordering::Relaxed)))
            }),
        )?;
        page.gauges(
            "keywright_actor_calls_in_flight_max",
            "Calls in flight past which the actor is not called and the response is 503",
            stats
                .iter()
                .filter_map(|(name, of)| Some((labels([("actor", name)]), number(of.limit()?)))),
        )?;
        page.counters(
            "keywright_actor_calls_refused",
            "Calls turned away because too many were in flight",
            stats.iter().map(|(name, of)| (labels([("actor", name)]), of.refused.get())),
        )?;
        page.counters(
            "keywright_actor_calls_timed_out",
            "Calls without a reply within AUTH_ACTOR_CALL_TIMEOUT",
            stats.iter().map(|(name, of)| (labels([("actor", name)]), of.timed_out.get())),
        )?;
        page.counters(
            "keywright_actor_task_panics",
            "Tasks of the actor, beside its handler, that panicked: a fault to report",
            stats.iter().map(|(name, of)| (labels([("actor", name)]), of.task_panics.get())),
        )?;
        page.counters_f64(
            "keywright_password_hash_rest_seconds",
            "Time for which no hash began, because threads that serve waited for a core (AUTH_PASSWORD_HASH_LEAST_SHARE)",
            [(Vec::new(), large(app.actors.passwords.stats().paused_ms.get()) / 1_000.0)],
        )?;
        page.histograms(
            "keywright_actor_handler_duration_seconds",
            "How long the actor took for a message",
            stats.iter().map(|(name, of)| (labels([("actor", name)]), of.handler.snapshot())),
        )
    }

    fn batches(&self, page: &mut Page<'_>) -> fmt::Result {
        let tree = self.admin.app.tree.list();
        let lanes: Vec<_> = tree
            .iter()
            .flat_map(|(name, child)| {
                let lanes = child.stats.iter().flat_map(|stats| stats.batchers());
                lanes.map(move |lane| {
                    (labels([("actor", name.as_str()), ("lane", lane.name)]), lane)
                })
            })
            .collect();
        let each = |value: fn(&BatcherStats) -> Snapshot| {
            lanes.iter().map(move |(labels, lane)| (labels.clone(), value(lane)))
        };
        page.histograms(
            "keywright_batch_size",
            "Keys of one statement of a lane",
            each(BatcherStats::sizes),
        )?;
        page.histograms(
            "keywright_batch_duration_seconds",
            "How long a batch was under way: statement, commit and replies",
            each(BatcherStats::times),
        )?;
        page.gauges(
            "keywright_batch_waiting",
            "Keys that wait for the next batch of a lane",
            lanes.iter().map(|(labels, lane)| {
                (labels.clone(), number(lane.waiting.load(Ordering::Relaxed)))
            }),
        )
    }

    fn caches(&self, page: &mut Page<'_>) -> fmt::Result {
        let app = &self.admin.app;
        let (sessions, session_entries) = app.actors.sessions.session_cache();
        let (users, user_entries, user_bytes) = app.actors.sessions.users().metrics();
        let (claims, claim_entries, claim_bytes) = app.claims.metrics();
        let (challenges, challenge_entries) = app.actors.challenges.cache();
        let caches: [(&str, &CacheStats, u64); 4] = [
            ("sessions", sessions, session_entries),
            ("users", users, user_entries),
            ("claims", claims, claim_entries),
            ("challenges", challenges, challenge_entries),
        ];
        page.counters(
            "keywright_cache_hits",
            "Looks into a cache that found what they looked for",
            caches.map(|(name, stats, _)| (labels([("cache", name)]), stats.hits.get())),
        )?;
        page.counters(
            "keywright_cache_misses",
            "Looks into a cache that found nothing, or nothing that may be served",
            caches.map(|(name, stats, _)| (labels([("cache", name)]), stats.misses.get())),
        )?;
        page.gauges(
            "keywright_cache_entries",
            "Entries of a cache, about",
            caches.map(|(name, _, entries)| (labels([("cache", name)]), large(entries))),
        )?;
        page.gauges(
            "keywright_cache_bytes",
            "Memory of the entries of a cache, estimated",
            [("users", user_bytes), ("claims", claim_bytes)]
                .map(|(name, bytes)| (labels([("cache", name)]), large(bytes))),
        )?;
        page.gauge(
            "keywright_cache_lease_held",
            "Whether the change feed vouches for the user cache (1), or every user is read (0)",
            f64::from(u8::from(app.actors.sessions.users().is_served())),
        )
    }

    fn pool(&self, page: &mut Page<'_>) -> fmt::Result {
        let pool = &self.admin.app.pool;
        page.histograms(
            "keywright_pool_acquire_duration_seconds",
            "Wait for a connection to Postgres, with the test that it still works",
            [(Vec::new(), pool.stats().waits.snapshot())],
        )?;
        page.counters(
            "keywright_pool_acquire_timeouts",
            "Waits for a connection that were given up",
            [(Vec::new(), pool.stats().timeouts.get())],
        )?;
        let (size, idle) = pool.open_and_idle();
        let idle = u32::try_from(idle).unwrap_or(u32::MAX);
        page.gauges(
            "keywright_pool_connections",
            "Connections to Postgres in the pool",
            [("used", size.saturating_sub(idle)), ("idle", idle)]
                .map(|(state, count)| (labels([("state", state)]), f64::from(count))),
        )?;
        page.gauge(
            "keywright_pool_connections_max",
            "Most connections that the pool may have",
            f64::from(pool.max_connections()),
        )
    }

    fn mail(&self, page: &mut Page<'_>) -> fmt::Result {
        let app = &self.admin.app;
        let mail = &app.mail_stats;
        page.counters(
            "keywright_mail_deliveries",
            "Mails by what came of an attempt to deliver them; expired ones were never delivered",
            [
                ("sent", &mail.sent),
                ("failed", &mail.failed),
                ("refused", &mail.refused),
                ("expired", &mail.expired),
            ]
            .map(|(outcome, count)| (labels([("outcome", outcome)]), count.get())),
        )?;
        page.histograms(
            "keywright_mail_delivery_duration_seconds",
            "How long the mail server took for a mail, whatever it said",
            [(Vec::new(), mail.seconds.snapshot())],
        )?;
        page.gauge(
            "keywright_mail_tasks_in_flight",
            "Delivery tasks of the courier at this moment",
            number(mail.in_flight.load(Ordering::Relaxed)),
        )?;
        if let Some(backlog) = self.backlog {
            let waited = backlog
                .oldest
                .map_or(0.0, |oldest| (app.clock.now() - oldest.0).as_seconds_f64().max(0.0));
            page.gauge(
                "keywright_mail_queued",
                "Mails in the outbox, of all nodes",
                large(u64::try_from(backlog.messages).unwrap_or(0)),
            )?;
            page.gauge(
                "keywright_mail_oldest_seconds",
                "Age of the oldest mail in the outbox",
                waited,
            )?;
        }
        page.counters(
            "keywright_sms",
            "Text messages by what their provider said",
            [("sent", &app.sms.sent), ("failed", &app.sms.failed)]
                .map(|(outcome, count)| (labels([("outcome", outcome)]), count.get())),
        )
    }

    fn signing_keys(&self, page: &mut Page<'_>) -> fmt::Result {
        let keys = &self.admin.app.signing_keys;
        page.gauges(
            "keywright_signing_keys",
            "Keys of the database that sign, will sign, or have signed and are still accepted here",
            [KeyState::Next, KeyState::Current, KeyState::Retired]
                .map(|state| (labels([("state", state.as_str())]), number(keys.count(state)))),
        )?;
        page.counters(
            "keywright_signing_key_steps",
            "Steps of stored keys that this node has taken by itself",
            [("add", &keys.stats.added), ("rotate", &keys.stats.rotated)]
                .map(|(step, count)| (labels([("step", step)]), count.get())),
        )?;
        page.counters(
            "keywright_signing_key_failures",
            "Times that stored keys could not be read, opened or rotated",
            [(Vec::new(), keys.stats.failed.get())],
        )
    }

    fn security(&self, page: &mut Page<'_>) -> fmt::Result {
        let security = &self.admin.app.security;
        page.counters(
            "keywright_security_events",
            "What should not happen to honest users, as in the log",
            SecurityEvent::ALL
                .map(|event| (labels([("event", event.name())]), security.count(event))),
        )
    }
}

/// Under the names that all Prometheus clients use.
fn process(page: &mut Page<'_>) -> fmt::Result {
    let stats = ProcessStats::read();
    if let Some(seconds) = stats.cpu_seconds {
        page.counters_f64(
            "process_cpu_seconds",
            "User and system time of this process",
            [(Vec::new(), seconds)],
        )?;
    }
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Resident memory", stats.resident_bytes.map(large)),
        ("process_virtual_memory_bytes", "Virtual memory", stats.virtual_bytes.map(large)),
        ("process_threads", "Threads", stats.threads.map(large)),
        ("process_open_fds", "Open file descriptors", stats.open_fds.map(large)),
        ("process_max_fds", "Most open file descriptors", stats.max_fds.map(large)),
        ("process_start_time_seconds", "Start of this process, since 1970", stats.started_at),
    ] {
        if let Some(value) = value {
            page.gauge(name, help, value)?;
        }
    }
    Ok(())
}

type Labels = Vec<(&'static str, String)>;

fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Labels {
    pairs.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

fn with(labels: &Labels, name: &'static str, value: &str) -> Labels {
    labels.iter().cloned().chain([(name, value.to_owned())]).collect()
}

fn number(value: usize) -> f64 {
    large(u64::try_from(value).unwrap_or(u64::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
fn large(value: u64) -> f64 {
    value as f64
}

/// Writes families of metrics.
struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Page<'_> {
    fn family<V>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        series: impl IntoIterator<Item = (Labels, V)>,
        write: fn(&mut MetricEncoder<'_>, &V) -> fmt::Result,
    ) -> fmt::Result {
        let mut encoder = self.encoder.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in series {
            if labels.is_empty() {
                write(&mut encoder, &value)?;
            } else {
                write(&mut encoder.encode_family(&labels)?, &value)?;
            }
        }
        Ok(())
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Counter, series, |encoder, value| {
            encoder.encode_counter(value, None::<&Exemplar<NoLabelSet, u64>>)
        })
    }

    fn counters_f64(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Counter, series, |encoder, value| {
            encoder.encode_counter(value, None::<&Exemplar<NoLabelSet, u64>>)
        })
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.gauges(name, help, [(Vec::new(), value)])
    }

    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, series, |encoder, value| {
            encoder.encode_gauge(value)
        })
    }

    fn histograms(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels, Snapshot)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Histogram, series, |encoder, value| {
            let (sum, count, buckets) = (value.sum(), value.count(), value.buckets());
            encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
        })
    }
}
