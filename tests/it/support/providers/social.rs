//! A server with its providers, and people with browsers who use it.

use std::sync::Arc;

use serde_json::Value;

use super::browser::{Browser, FinalPage, Step};
use super::{CLIENT_URL, Providers, SECURE_SERVER_URL, SERVER_URL};
use crate::support::app::{Client, Session, TestApp};
use crate::support::hex::hex;
use crate::support::postgres::TestDatabase;
use crate::support::smtp::eventually;

/// One server and all providers.
pub(crate) struct Social {
    pub(crate) app: TestApp,
    pub(crate) providers: Providers,
}

impl Social {
    /// With these providers enabled, and these settings besides.
    pub(crate) async fn start(providers: &[&str], more: &[(&str, &str)]) -> Self {
        Self::start_with(Providers::start().await, providers, more).await
    }

    /// The same behind TLS, as browsers see it; without that Apple's form comes without cookies.
    pub(crate) async fn start_secure(providers: &[&str], more: &[(&str, &str)]) -> Self {
        Self::start_with(Providers::start_for(SECURE_SERVER_URL).await, providers, more).await
    }

    /// With providers that run already.
    pub(crate) async fn start_with(
        simulator: Providers,
        providers: &[&str],
        more: &[(&str, &str)],
    ) -> Self {
        let database = TestDatabase::new().await;
        Self::start_on(database, simulator, providers, more).await
    }

    /// On a database that others have, too.
    pub(crate) async fn start_on(
        database: TestDatabase,
        simulator: Providers,
        providers: &[&str],
        more: &[(&str, &str)],
    ) -> Self {
        let app = start_node(&simulator, Arc::new(database), providers, more).await;
        Self { app, providers: simulator }
    }

    /// Another server on the same database, with other settings.
    pub(crate) async fn another(&self, providers: &[&str], more: &[(&str, &str)]) -> TestApp {
        start_node(&self.providers, Arc::clone(&self.app.database), providers, more).await
    }

    /// A new person's.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(&self.providers.server_url, self.app.url())
    }

    /// The link of the application by which a sign-in begins.
    pub(crate) fn link(&self, provider: &str, query: &[(&str, &str)]) -> Step {
        begin(&format!("{}/signin/provider/{provider}", self.providers.server_url), query)
    }

    /// A new person signs in.
    pub(crate) async fn sign_in(&self, provider: &str, query: &[(&str, &str)]) -> FinalPage {
        self.browser().follow(&self.link(provider, query)).await
    }

    /// A new person comes as far as the callback, which is not called yet.
    pub(crate) async fn to_callback(
        &self,
        provider: &str,
        query: &[(&str, &str)],
    ) -> (Browser, Step) {
        let mut browser = self.browser();
        let callback = callback(&mut browser, &self.link(provider, query)).await;
        (browser, callback)
    }

    /// The session that the application gets out of where a sign-in landed.
    pub(crate) async fn session(&self, final_page: &FinalPage) -> Session {
        session(&self.app, final_page).await
    }

    /// An administrator keeps this user out, and the server has heard of it.
    pub(crate) async fn keep_out(&self, sql: &str, session: &Session) {
        self.app.database.execute(sql).await;
        eventually("the server to hear of it", async || {
            self.app.get_as("/user", session.access_token()).await.status != 200
        })
        .await;
    }

    /// The users there are, oldest first.
    pub(crate) async fn users(&self) -> Vec<Value> {
        users(&self.app.database).await
    }

    /// The only user there is.
    #[track_caller]
    pub(crate) fn user(&self) -> impl Future<Output = Value> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let mut users = self.users().await;
            assert_eq!(users.len(), 1, "at {caller}: {users:?}");
            users.remove(0)
        }
    }

    /// The links there are: provider, its id of the user, and the user's address or id.
    pub(crate) async fn links(&self) -> Vec<(String, String, String)> {
        links(&self.app.database).await
    }

    /// The tables with a row in which this text is to be read, as text or as bytes.
    pub(crate) async fn rows_that_contain(&self, secret: &str) -> Vec<String> {
        let database = &self.app.database;
        let tables = database
            .text(
                "select string_agg(quote_ident(table_name), ',') from information_schema.tables
                  where table_schema = 'auth' and table_type = 'BASE TABLE'",
            )
            .await;
        let hex = hex(secret);
        let mut found = Vec::new();
        for table in tables.unwrap().split(',') {
            let rows = database
                .count(&format!(
                    "select count(*) from auth.{table} t
                      where position('{secret}' in t::text) + position('{hex}' in t::text) > 0"
                ))
                .await;
            if rows > 0 {
                found.push(table.to_owned());
            }
        }
        found
    }

    /// How many rows of everything that a sign-in writes, but for mails, which leave.
    pub(crate) async fn rows(&self) -> i64 {
        self.app
            .database
            .count(
                "select (select count(*) from auth.users) + (select count(*) from auth.user_providers)
                      + (select count(*) from auth.user_roles)
                      + (select count(*) from auth.refresh_tokens)
                      + (select count(*) from auth.keywright_tickets)",
            )
            .await
    }
}

async fn start_node(
    simulator: &Providers,
    database: Arc<TestDatabase>,
    providers: &[&str],
    more: &[(&str, &str)],
) -> TestApp {
    let settings = simulator.settings(providers);
    let mut all = vec![("AUTH_SERVER_URL", simulator.server_url.as_str())];
    all.extend(settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    all.extend_from_slice(more);
    TestApp::start_at(database, simulator.clock.clone(), &all).await
}

/// The user follows a link of the application to the start route of [`SERVER_URL`].
pub(crate) fn start(provider: &str, query: &[(&str, &str)]) -> Step {
    begin(&format!("{SERVER_URL}/signin/provider/{provider}"), query)
}

/// The same at another route.
pub(crate) fn begin(url: &str, query: &[(&str, &str)]) -> Step {
    let mut step = Step::link(url);
    if !query.is_empty() {
        step.url.query_pairs_mut().extend_pairs(query);
    }
    step
}

/// Goes as far as the callback.
pub(crate) async fn callback(browser: &mut Browser, first: &Step) -> Step {
    let is_callback = |step: &Step| step.url.path().ends_with("/callback");
    let (final_page, step) = browser.follow_until(first, is_callback).await;
    step.unwrap_or_else(|| panic!("no callback: {final_page:?}"))
}

/// The session that the application gets out of where a sign-in landed.
pub(crate) async fn session(client: &Client, final_page: &FinalPage) -> Session {
    client.refresh(&final_page.refresh_token()).await.session()
}

/// The users of a database, oldest first.
pub(crate) async fn users(database: &TestDatabase) -> Vec<Value> {
    let text = database
        .text(
            "select coalesce(json_agg(u order by u.created_at, u.id), '[]')::text from (
                 select *, (select coalesce(json_agg(r.role order by r.role), '[]')
                              from auth.user_roles r where r.user_id = users.id) as roles
                   from auth.users) u",
        )
        .await;
    serde_json::from_str(&text.unwrap()).unwrap()
}

/// The links of a database: provider, its id of the user, and the user's address or id.
pub(crate) async fn links(database: &TestDatabase) -> Vec<(String, String, String)> {
    let text = database
        .text(
            "select coalesce(json_agg(json_build_array(p.provider_id, p.provider_user_id,
                        coalesce(u.email::text, u.id::text))
                        order by p.provider_id, p.provider_user_id), '[]')::text
               from auth.user_providers p join auth.users u on u.id = p.user_id",
        )
        .await;
    serde_json::from_str(&text.unwrap()).unwrap()
}

/// Where the application is told everything unless it asks for another page.
#[track_caller]
pub(crate) fn assert_at_home(final_page: &FinalPage) {
    assert_eq!(final_page.target(), CLIENT_URL, "{}", final_page.url);
}
