//! A server in this process, on a database of its own, and a client that speaks to it over HTTP.

use std::sync::Arc;

use keywright::app::App;
use keywright::config::{Config, Sources};
use keywright::domain::clock::Clock;
use keywright::node::Node;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::postgres::TestDatabase;

/// The shared secret of test servers.
pub(crate) const JWT_SECRET: &str =
    r#"{"type":"HS256","key":"5152fa850c02dc222631cca898ed1485821a70912a6e3649c49076912daa3b62"}"#;
/// The password of test users.
pub(crate) const PASSWORD: &str = "a-long-Passw0rd";

/// Settings of a test server; later ones win.
pub(crate) fn settings<'a>(
    database: &'a str,
    more: &[(&'a str, &'a str)],
) -> Vec<(String, String)> {
    let mut all = vec![
        ("POSTGRES_CONNECTION", database),
        ("HASURA_GRAPHQL_JWT_SECRET", JWT_SECRET),
        ("AUTH_BIND", "127.0.0.1"),
        ("AUTH_PORT", "0"),
        ("AUTH_SERVER_URL", "http://auth.test"),
        ("AUTH_CLIENT_URL", "http://localhost:3000"),
        ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false"),
        ("AUTH_ANONYMOUS_USERS_ENABLED", "true"),
        ("AUTH_USER_DEFAULT_ALLOWED_ROLES", "me,user,editor"),
        ("AUTH_PASSWORD_ARGON2_MEMORY_KIB", "64"),
        ("AUTH_PASSWORD_ARGON2_ITERATIONS", "1"),
        ("AUTH_PASSWORD_BCRYPT_COST", "4"),
        ("AUTH_POSTGRES_MAX_CONNECTIONS", "4"),
        ("AUTH_POSTGRES_START_TIMEOUT", "0s"),
        ("AUTH_SHUTDOWN_GRACE", "0s"),
    ];
    all.extend_from_slice(more);
    all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A running server.
pub(crate) struct TestApp {
    node: Node,
    pub(crate) clock: Clock,
    pub(crate) database: Arc<TestDatabase>,
    client: Client,
}

impl TestApp {
    /// With these settings over the defaults, on a new database.
    pub(crate) async fn start(more: &[(&str, &str)]) -> Self {
        Self::start_on(Arc::new(TestDatabase::new().await), more).await
    }

    /// On a database that exists already: a second node, or a restart.
    pub(crate) async fn start_on(database: Arc<TestDatabase>, more: &[(&str, &str)]) -> Self {
        Self::start_at(database, Clock::system(), more).await
    }

    /// With a clock that another node has too.
    pub(crate) async fn start_at(
        database: Arc<TestDatabase>,
        clock: Clock,
        more: &[(&str, &str)],
    ) -> Self {
        let url = database.url();
        let sources = Sources::from_env(settings(&url, more));
        let config = Config::from_sources(&sources).unwrap().config;
        let node = Box::pin(Node::start(config, clock.clone())).await.unwrap();
        let client = Client::new(format!("http://{}", node.address()));
        Self { node, clock, database, client }
    }

    /// The parts of the server, for faults and for looking inside.
    pub(crate) fn app(&self) -> &Arc<App> {
        self.node.app()
    }

    /// The whole node, for tests of its life.
    pub(crate) fn node_mut(&mut self) -> &mut Node {
        &mut self.node
    }

    /// `http://127.0.0.1:port`.
    pub(crate) fn url(&self) -> &str {
        &self.client.base
    }

    /// Where its admin listener listens.
    pub(crate) fn admin_address(&self) -> Option<std::net::SocketAddr> {
        self.node.admin_address()
    }

    /// The client of this server.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Stops it as a signal would.
    pub(crate) async fn stop(self) {
        self.node.shut_down().await;
    }
}

impl std::ops::Deref for TestApp {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Speaks to a server.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    http: reqwest::Client,
}

/// What a server said.
#[derive(Debug)]
pub(crate) struct TestResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl TestResponse {
    /// The body as JSON; `null` if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The `error` member of the body.
    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Asserts that the body is the JSON string `"OK"`.
    #[track_caller]
    pub(crate) fn assert_ok(&self) {
        assert_eq!((self.status.as_u16(), self.text.as_str()), (200, "\"OK\"\n"), "{self:?}");
    }

    /// The target of a redirect, without its query, and the query by name.
    #[track_caller]
    pub(crate) fn redirect(&self) -> (String, std::collections::BTreeMap<String, String>) {
        assert_eq!(self.status, StatusCode::FOUND, "{self:?}");
        let location = self.header("location").expect("a redirect has a target");
        let target = location.split('?').next().unwrap_or_default().to_owned();
        let url = reqwest::Url::parse(location).expect("an absolute URL");
        (target, url.query_pairs().into_owned().collect())
    }

    /// The session of the body, wrapped or bare.
    pub(crate) fn session(&self) -> Session {
        let body = self.json();
        let session = if body["session"].is_object() { body["session"].clone() } else { body };
        assert!(session["accessToken"].is_string(), "no session in {self:?}");
        Session(session)
    }

    /// Status and code of a refusal, in the contract's shape.
    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, code: &str) {
        let body = self.json();
        let seen = (self.status.as_u16(), body["error"].as_str().unwrap_or_default());
        assert_eq!(seen, (status, code), "{self:?}");
        assert_eq!(body["status"], status, "{self:?}");
        assert!(body["message"].is_string(), "{self:?}");
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(3), "{self:?}");
    }
}

/// `Session` of the contract.
#[derive(Clone, Debug)]
pub(crate) struct Session(pub(crate) Value);

impl Session {
    pub(crate) fn access_token(&self) -> &str {
        self.0["accessToken"].as_str().unwrap()
    }

    pub(crate) fn refresh_token(&self) -> &str {
        self.0["refreshToken"].as_str().unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        self.0["refreshTokenId"].as_str().unwrap()
    }

    pub(crate) fn user_id(&self) -> uuid::Uuid {
        self.0["user"]["id"].as_str().unwrap().parse().unwrap()
    }
}

impl Client {
    /// For any server.
    pub(crate) fn new(base: String) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(30))
            .build()
            .unwrap();
        Self { base, http }
    }

    /// For the same server from another address of this machine: another client network.
    pub(crate) fn at_address(&self, address: [u8; 4]) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(30))
            .local_address(std::net::IpAddr::from(address))
            .build()
            .unwrap();
        Self { base: self.base.clone(), http }
    }

    /// `http://127.0.0.1:port`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// A request that can be shaped further; send it with [`Client::send`].
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends; a failing connection is an error.
    pub(crate) async fn try_send(
        request: reqwest::RequestBuilder,
    ) -> reqwest::Result<TestResponse> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(TestResponse { status, headers, text: response.text().await? })
    }

    pub(crate) async fn send(request: reqwest::RequestBuilder) -> TestResponse {
        Self::try_send(request).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> TestResponse {
        Self::send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn get_as(&self, path: &str, access_token: &str) -> TestResponse {
        Self::send(self.request(Method::GET, path).bearer_auth(access_token)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> TestResponse {
        Self::send(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn post_as(
        &self,
        path: &str,
        access_token: &str,
        body: Value,
    ) -> TestResponse {
        Self::send(self.request(Method::POST, path).bearer_auth(access_token).json(&body)).await
    }

    pub(crate) async fn sign_up(&self, email: &str) -> TestResponse {
        self.post("/signup/email-password", json!({"email": email, "password": PASSWORD})).await
    }

    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> TestResponse {
        self.post("/signin/email-password", json!({"email": email, "password": password})).await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> TestResponse {
        self.post("/token", json!({"refreshToken": refresh_token})).await
    }

    /// A session of a new anonymous user: the cheapest one.
    pub(crate) async fn anonymous(&self) -> Session {
        self.post("/signin/anonymous", json!({})).await.session()
    }
}
