//! A client of a server's admin listener.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;

use super::app::{Client, TestApp, TestResponse};

/// The token of operators of test servers.
pub(crate) const TOKEN: &str = "operator-0123456789abcdef0123456789";
/// The token of their scrapers.
pub(crate) const METRICS_TOKEN: &str = "scraper-0123456789abcdef0123456789ab";

/// Settings that switch the listener on.
pub(crate) const ADMIN: &[(&str, &str)] = &[
    ("AUTH_ADMIN_PORT", "0"),
    ("AUTH_ADMIN_TOKEN", TOKEN),
    ("AUTH_ADMIN_METRICS_TOKEN", METRICS_TOKEN),
];

/// These settings and those of the listener.
pub(crate) fn with_admin<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [ADMIN, more].concat()
}

/// Whoever has the token.
pub(crate) struct Operator {
    client: Client,
}

impl Operator {
    /// Of this server.
    pub(crate) fn of(app: &TestApp) -> Self {
        let address = app.admin_address().expect("it has an admin listener");
        Self { client: Client::new(format!("http://{address}")) }
    }

    /// Speaks to the listener without a token.
    pub(crate) fn stranger(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn get(&self, path: &str) -> TestResponse {
        self.client.get_as(path, TOKEN).await
    }

    /// Changes settings.
    pub(crate) async fn patch(&self, body: Value) -> TestResponse {
        let request = self.client.request(Method::PATCH, "/ops/settings").bearer_auth(TOKEN);
        Client::send(request.json(&body)).await
    }

    /// Changes settings, which must succeed; the old values.
    pub(crate) async fn tune(&self, body: Value) -> Value {
        let response = self.patch(body).await;
        assert_eq!(response.status, 200, "{response:?}");
        response.json()["changed"].clone()
    }

    /// The report about one actor, by its path; the root has an empty one.
    pub(crate) async fn actor(&self, path: &str) -> Value {
        let response = self.get("/ops/actors").await;
        assert_eq!(response.status, 200, "{response:?}");
        let mut actor = response.json()["root"].clone();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let children = actor["children"].as_array().expect("it has children").clone();
            let child = children.into_iter().find(|child| child["name"] == name);
            actor = child.unwrap_or_else(|| panic!("no {name} of {path} in {}", response.text));
        }
        actor
    }

    /// All metrics, by name with labels, as in the text.
    pub(crate) async fn metrics(&self) -> Metrics {
        let response = self.get("/metrics").await;
        assert_eq!(response.status, 200, "{response:?}");
        Metrics::parse(&response.text)
    }
}

/// A reading of all metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// By family.
    pub(crate) kinds: BTreeMap<String, String>,
    pub(crate) helps: BTreeMap<String, String>,
    /// By name and labels.
    pub(crate) samples: BTreeMap<String, f64>,
}

impl Metrics {
    #[track_caller]
    fn parse(text: &str) -> Self {
        let mut metrics =
            Self { kinds: BTreeMap::new(), helps: BTreeMap::new(), samples: BTreeMap::new() };
        for line in text.lines() {
            let (texts, line) = match (line.strip_prefix("# TYPE "), line.strip_prefix("# HELP ")) {
                (Some(line), _) => (&mut metrics.kinds, line),
                (_, Some(line)) => (&mut metrics.helps, line),
                _ => {
                    let (name, value) = line.rsplit_once(' ').expect(line);
                    let value = value.parse().expect(line);
                    let earlier = metrics.samples.insert(name.to_owned(), value);
                    assert!(earlier.is_none(), "twice: {line}");
                    continue;
                }
            };
            let (family, text) = line.split_once(' ').expect(line);
            let earlier = texts.insert(family.to_owned(), text.to_owned());
            assert!(earlier.is_none(), "twice: {line}");
        }
        metrics
    }

    /// The value of one sample.
    #[track_caller]
    pub(crate) fn value(&self, name: &str) -> f64 {
        *self.samples.get(name).unwrap_or_else(|| panic!("no {name} in {:#?}", self.samples))
    }

    /// The same as a whole number.
    #[track_caller]
    #[expect(clippy::cast_possible_truncation, reason = "counts of tests are small")]
    pub(crate) fn count(&self, name: &str) -> i64 {
        let value = self.value(name);
        assert!(value.fract() == 0.0, "{name} is {value}");
        value as i64
    }
}
