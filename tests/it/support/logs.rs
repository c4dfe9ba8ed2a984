//! What servers in this process log about security, and about errors of Postgres.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// The fields of one event.
pub(crate) type Fields = HashMap<&'static str, String>;

static EVENTS: OnceLock<Mutex<Vec<Fields>>> = OnceLock::new();

/// From now on such events are kept; tests find theirs by the id of a session, user or request.
pub(crate) fn keep_security_events() {
    EVENTS.get_or_init(|| {
        let subscriber = tracing_subscriber::registry().with(Keep.with_filter(LevelFilter::WARN));
        tracing::subscriber::set_global_default(subscriber).expect("only this file sets one");
        Mutex::default()
    });
}

/// The events about this session.
pub(crate) fn security_events(session_id: &str) -> Vec<Fields> {
    events_with("session.id", session_id)
}

/// The events about this user.
pub(crate) fn security_events_of_user(user_id: &str) -> Vec<Fields> {
    events_with("user.id", user_id)
}

/// What was logged of an error of Postgres that this request met.
pub(crate) fn database_errors(request_id: &str) -> Vec<Fields> {
    events_with("request_id", request_id)
}

fn events_with(field: &str, value: &str) -> Vec<Fields> {
    let events = EVENTS.get().expect("events are kept").lock().unwrap();
    let is_about = |event: &&Fields| event.get(field).is_some_and(|found| found == value);
    events.iter().filter(is_about).cloned().collect()
}

struct Keep;

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut visitor = Visitor(Fields::new());
        event.record(&mut visitor);
        let is_kept =
            ["security_event", "sqlstate"].iter().any(|name| visitor.0.contains_key(name));
        if let (true, Some(events)) = (is_kept, EVENTS.get()) {
            events.lock().unwrap().push(visitor.0);
        }
    }
}

struct Visitor(Fields);

impl Visit for Visitor {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}
