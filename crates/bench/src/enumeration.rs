//! Whether a response, or its time, reveals that an address has an account.
//!
//! Each operation is sent the known address and fresh unknown ones in turns. What counts is
//! the area under the ROC curve: how often one request for a known address takes longer than one for
//! an unknown address. 0.5 is a coin, 0 and 1 are certainty. The statistic is that of Mann and
//! Whitney, which needs no assumption about how times are distributed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use reqwest::redirect::Policy;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::args::EnumerationArgs;
use crate::profile::{self, server_profile};
use crate::target::Target;

/// A difference that is smaller needs thousands of requests for one address to be seen.
const SMALL: f64 = 0.1;

/// Longest wait for one response.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Everything that a run found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub server: String,
    /// Profile that the server was built with; absent if it names none.
    pub server_profile: Option<String>,
    pub operations: Vec<Operation>,
    /// Operations for which the server gave nobody an access token.
    pub skipped: Vec<&'static str>,
}

/// One operation.
#[derive(Clone, Debug, Serialize)]
pub struct Operation {
    pub path: &'static str,
    /// Status and code of the responses, for the known address and for others.
    #[serde(rename = "known_answers")]
    pub known_responses: BTreeSet<String>,
    #[serde(rename = "unknown_answers")]
    pub unknown_responses: BTreeSet<String>,
    pub known_median_us: f64,
    pub unknown_median_us: f64,
    /// Area under the ROC curve.
    pub auc: f64,
    /// How many standard errors that is from 0.5.
    pub z: f64,
}

impl Operation {
    /// Whether one response, or a few, reveal the address.
    pub fn is_revealing(&self) -> bool {
        self.known_responses != self.unknown_responses
            || (self.z.abs() > 4.0 && (self.auc - 0.5).abs() > SMALL)
    }
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Stranger,
    /// A user who signs up for this.
    User,
    /// An anonymous user, a new one for each request.
    Guest,
}

/// A request that names an address.
struct Probe {
    path: &'static str,
    caller: Caller,
    body: fn(&str) -> Value,
}

/// The operations that take an address of somebody else.
const PROBES: [Probe; 9] = [
    by_stranger(
        "/signin/email-password",
        |email| json!({"email": email, "password": "not-the-Passw0rd"}),
    ),
    by_stranger("/user/password/reset", |email| json!({"email": email})),
    by_stranger("/user/email/send-verification-email", |email| json!({"email": email})),
    by_stranger("/signin/passwordless/email", |email| json!({"email": email})),
    by_stranger("/signin/otp/email", |email| json!({"email": email})),
    by_stranger("/signin/otp/email/verify", |email| json!({"email": email, "otp": "000000"})),
    by_stranger("/signin/webauthn", |email| json!({"email": email})),
    Probe {
        path: "/user/email/change",
        caller: Caller::User,
        body: |email| json!({"newEmail": email}),
    },
    Probe {
        path: "/user/deanonymize",
        caller: Caller::Guest,
        body: |email| json!({"signInMethod": "passwordless", "email": email}),
    },
];

const fn by_stranger(path: &'static str, body: fn(&str) -> Value) -> Probe {
    Probe { path, caller: Caller::Stranger, body }
}

/// The access token for a request; `None` if the server makes no such user.
async fn access_token(
    client: &reqwest::Client,
    base: &str,
    caller: Caller,
) -> anyhow::Result<Option<String>> {
    let (path, body) = match caller {
        Caller::Stranger => return Ok(None),
        Caller::User => {
            let email = format!("asks-{}@example.com", Uuid::new_v4().simple());
            ("/signup/email-password", json!({"email": email, "password": "a-long-Passw0rd"}))
        }
        Caller::Guest => ("/signin/anonymous", json!({})),
    };
    let response = client.post(format!("{base}{path}")).json(&body).send().await;
    let response = response.context("the server does not respond")?;
    let body: Value = response.json().await.unwrap_or_default();
    Ok(body["session"]["accessToken"].as_str().map(ToOwned::to_owned))
}

/// Sends all requests; `stop` ends it early.
pub async fn enumeration(args: &EnumerationArgs, stop: &AtomicBool) -> anyhow::Result<Report> {
    // Refuses what is not this machine.
    let target = Target::resolve(&args.url, args.allow_remote).await?;
    let server_profile = server_profile(&target, TIMEOUT).await;
    let client = reqwest::Client::builder()
        .redirect(Policy::none())
        .timeout(TIMEOUT)
        .build()
        .context("no HTTP client")?;
    let base = args.url.as_str().trim_end_matches('/');
    // What a response leaves to be done (a mail) must not count for the next one.
    let mut pause = tokio::time::interval(args.pause);
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut operations, mut skipped) = (Vec::new(), Vec::new());
    for probe in &PROBES {
        let mut token = access_token(&client, base, probe.caller).await?;
        if probe.caller != Caller::Stranger && token.is_none() {
            skipped.push(probe.path);
            continue;
        }
        let url = format!("{base}{}", probe.path);
        let mut sides: [Side; 2] = Default::default();
        // The first of each warms up connections and caches.
        for number in 0..=args.requests {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let unknown = format!("nobody-{}@example.com", Uuid::new_v4().simple());
            for (side, email) in sides.iter_mut().zip([args.known.as_str(), &unknown]) {
                pause.tick().await;
                if probe.caller == Caller::Guest {
                    token = access_token(&client, base, probe.caller).await?;
                }
                let body = (probe.body)(email);
                let (time, response) = send(&client, &url, token.as_deref(), &body).await?;
                side.responses.insert(response);
                if number > 0 {
                    side.times.push(time);
                }
            }
        }
        let [known, unknown] = sides;
        let (auc, z) = compare(&known.times, &unknown.times);
        operations.push(Operation {
            path: probe.path,
            known_responses: known.responses,
            unknown_responses: unknown.responses,
            known_median_us: median_us(known.times),
            unknown_median_us: median_us(unknown.times),
            auc,
            z,
        });
    }
    Ok(Report { server: base.to_owned(), server_profile, operations, skipped })
}

#[derive(Default)]
struct Side {
    times: Vec<Duration>,
    responses: BTreeSet<String>,
}

async fn send(
    client: &reqwest::Client,
    url: &str,
    token: Option<&str>,
    body: &Value,
) -> anyhow::Result<(Duration, String)> {
    let mut request = client.post(url).json(body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let start = Instant::now();
    let response = request.send().await.context("the server does not respond")?;
    let status = response.status().as_u16();
    let text = response.text().await.context("the response breaks off")?;
    let time = start.elapsed();
    let code = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|body| body["error"].as_str().map(ToOwned::to_owned));
    Ok((time, format!("{status} {}", code.as_deref().unwrap_or("OK"))))
}

fn median_us(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

/// Area under the curve, and its distance from 0.5 in standard errors (ties count half).
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn compare(known: &[Duration], unknown: &[Duration]) -> (f64, f64) {
    if known.is_empty() || unknown.is_empty() {
        return (0.5, 0.0);
    }
    let mut sorted = unknown.to_vec();
    sorted.sort_unstable();
    let mut wins = 0.0;
    for time in known {
        let below = sorted.partition_point(|other| other < time);
        let not_above = sorted.partition_point(|other| other <= time);
        wins += below as f64 + (not_above - below) as f64 / 2.0;
    }
    let (m, n) = (known.len() as f64, unknown.len() as f64);
    let auc = wins / (m * n);
    let deviation = ((m + n + 1.0) / (12.0 * m * n)).sqrt();
    (auc, (auc - 0.5) / deviation)
}

impl Report {
    /// For people.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} {}\n\n{:<38} {:>10} {:>10} {:>6} {:>7}  verdict\n",
            self.server,
            profile::label(self.server_profile.as_deref()),
            "operation",
            "known us",
            "other us",
            "AUC",
            "z"
        );
        for operation in &self.operations {
            let verdict = if operation.known_responses != operation.unknown_responses {
                let list = |responses: &BTreeSet<String>| {
                    responses.iter().cloned().collect::<Vec<_>>().join(", ")
                };
                let (known, other) =
                    (list(&operation.known_responses), list(&operation.unknown_responses));
                format!("the answer tells: {known} / {other}")
            } else if operation.is_revealing() {
                "the time tells".to_owned()
            } else {
                "no difference to use".to_owned()
            };
            writeln!(
                text,
                "{:<38} {:>10.0} {:>10.0} {:>6.3} {:>7.1}  {verdict}",
                operation.path,
                operation.known_median_us,
                operation.unknown_median_us,
                operation.auc,
                operation.z
            )
            .expect("a String can always be written to");
        }
        for path in &self.skipped {
            writeln!(text, "{path:<38} skipped: the server makes no user who could ask")
                .expect("a String can always be written to");
        }
        if let Some(warning) = profile::warning(self.server_profile.as_deref()) {
            text.push_str(&warning);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(list: &[u64]) -> Vec<Duration> {
        list.iter().map(|&time| Duration::from_micros(time)).collect()
    }

    #[test]
    fn the_area_says_how_often_a_known_address_takes_longer() {
        let (low, high) = (times(&[1, 2, 3]), times(&[4, 5, 6]));
        assert!((compare(&high, &low).0 - 1.0).abs() < 1e-9);
        assert!(compare(&low, &high).0.abs() < 1e-9);
        let (auc, z) = compare(&low, &low);
        assert!((auc - 0.5).abs() < 1e-9 && z.abs() < 1e-9);
        assert!(
            compare(
                &times(&(0..400).map(|n| 100 + n).collect::<Vec<_>>()),
                &times(&(0..400).collect::<Vec<_>>())
            )
            .1 > 4.0
        );
        assert_eq!(compare(&[], &low), (0.5, 0.0));
    }

    #[test]
    fn a_different_response_reveals_whatever_the_times() {
        let operation = Operation {
            path: "/x",
            known_responses: BTreeSet::from(["200 OK".to_owned()]),
            unknown_responses: BTreeSet::from(["401 x".to_owned()]),
            known_median_us: 1.0,
            unknown_median_us: 1.0,
            auc: 0.5,
            z: 0.0,
        };
        assert!(operation.is_revealing());
    }
}
