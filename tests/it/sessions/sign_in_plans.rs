//! Statements of sign-ins and sign-ups find their rows by their keys, whatever the planner knew of the
//! tables when it made the plan, which stays.

use std::time::Duration;

use keywright::domain::clock::Clock;
use keywright::domain::ids::{SecurityKeyId, SessionId, UserId};
use keywright::domain::session_basis::SessionBasis;
use keywright::persistence::new_anonymous_users::{self, NewAnonymousUser};
use keywright::persistence::new_users::{self, FirstSession, NewUser};
use keywright::persistence::sign_ins::{self, NewSession, PresentedTicket, TicketProves};
use keywright::persistence::users;
use keywright::tokens::refresh_token::{RefreshToken, TokenHash};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::support::app::TestApp;
use crate::support::hex::hex;

/// After so many uses of a statement Postgres keeps its plan.
const USES: usize = 6;
/// The most rows that one sign-in reads, keys of foreign tables and triggers included.
const MOST: i64 = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statement {
    SignUp,
    SignUpWithSession,
    SignUpAnonymous,
    Ticket,
    Password,
    Phone,
    PatById,
    PatByHash,
    SecurityKey,
    Identity,
    TicketAtOnce,
    FindByIdentity,
}

const STATEMENTS: [Statement; 12] = [
    Statement::SignUp,
    Statement::SignUpWithSession,
    Statement::SignUpAnonymous,
    Statement::Ticket,
    Statement::Password,
    Statement::Phone,
    Statement::PatById,
    Statement::PatByHash,
    Statement::SecurityKey,
    Statement::Identity,
    Statement::TicketAtOnce,
    Statement::FindByIdentity,
];

/// A user with everything that a session may rest on.
struct Person {
    id: UserId,
    pat: SessionId,
    pat_hash: TokenHash,
    key: SecurityKeyId,
    link: Uuid,
    ticket: [u8; 32],
}

impl Person {
    async fn insert(db: &mut PgConnection) -> Self {
        let pat_hash = RefreshToken::generate().hash();
        let person = Self {
            id: UserId(Uuid::new_v4()),
            pat: SessionId(Uuid::new_v4()),
            pat_hash,
            key: SecurityKeyId(Uuid::new_v4()),
            link: Uuid::new_v4(),
            ticket: *RefreshToken::generate().hash().as_bytes(),
        };
        let hex = hex(person.ticket);
        let Self { id, pat, key, link, .. } = &person;
        let stored = pat_hash.stored();
        let sql = format!(
            "insert into auth.users (id, locale, phone_number, password_hash, email_verified)
             values ('{id}', 'en', '{id}', 'hash', true);
             insert into auth.refresh_tokens (id, user_id, refresh_token_hash, expires_at, type)
             values ('{pat}', '{id}', '{stored}', now() + interval '1 day', 'pat');
             insert into auth.user_security_keys (id, user_id, credential_id)
             values ('{key}', '{id}', '{id}');
             insert into auth.user_providers
                    (id, user_id, access_token, provider_id, provider_user_id)
             values ('{link}', '{id}', 'unset', 'github', '{id}');
             insert into auth.keywright_tickets
                    (ticket_hash, user_id, purpose, created_at, expires_at)
             values (decode('{hex}', 'hex'), '{id}', 'emailOtp', now(), now() + interval '1 day')"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await.unwrap();
        person
    }

    /// Runs the statement for this person; returns how many rows it read.
    async fn read_by(&self, statement: Statement, db: &mut PgConnection) -> i64 {
        let mut transaction = db.begin().await.unwrap();
        let before = rows_read(&mut transaction).await;
        self.run(statement, &mut transaction).await;
        let after = rows_read(&mut transaction).await;
        transaction.commit().await.unwrap();
        after - before
    }

    async fn run(&self, statement: Statement, db: &mut PgConnection) {
        let (now, advanced) = (Clock::system().now(), time::Duration::ZERO);
        let (hash, lifetime) = (RefreshToken::generate().hash(), Duration::from_hours(1));
        let session = NewSession { hash, lifetime, now, advanced };
        let start = async |db: &mut PgConnection, basis: &SessionBasis| {
            sign_ins::begin(db, self.id, session, basis).await.unwrap().is_some()
        };
        let is_done = match statement {
            Statement::SignUp | Statement::SignUpWithSession => {
                let roles = ["user".to_owned(), "me".to_owned()];
                let user = NewUser {
                    id: UserId::random(),
                    created_at: now,
                    disabled: false,
                    display_name: "",
                    avatar_url: "",
                    locale: "en",
                    email: None,
                    email_verified: false,
                    phone_number: None,
                    password_hash: None,
                    default_role: "user",
                    is_anonymous: false,
                    metadata: None,
                    roles: &roles,
                    last_seen: None,
                };
                let with_session = statement == Statement::SignUpWithSession;
                let first = FirstSession { hash, lifetime, advanced };
                let written =
                    new_users::insert(db, &user, with_session.then_some(first)).await.unwrap();
                assert_eq!(written.user.roles, roles);
                written.session_id.is_some() == with_session
            }
            Statement::SignUpAnonymous => {
                let user = NewAnonymousUser {
                    id: UserId::random(),
                    created_at: now,
                    display_name: String::new(),
                    locale: "en".to_owned(),
                    metadata: None,
                    session: FirstSession { hash, lifetime, advanced },
                };
                let written = new_anonymous_users::insert(db, &[&user]).await.unwrap();
                written[0].session_id.is_some()
            }
            Statement::Ticket => start(db, &SessionBasis::Ticket).await,
            Statement::Password => start(db, &SessionBasis::Password("hash".into())).await,
            Statement::Phone => start(db, &SessionBasis::Phone(self.id.to_string())).await,
            Statement::PatById => start(db, &SessionBasis::PersonalAccessToken(self.pat)).await,
            Statement::PatByHash => {
                let begun = sign_ins::begin_with_pat(db, self.pat_hash, session, true).await;
                begun.unwrap().is_some()
            }
            Statement::SecurityKey => start(db, &SessionBasis::SecurityKey(self.key)).await,
            Statement::Identity => {
                let tokens = Some("sealed".into());
                start(db, &SessionBasis::Identity { link: self.link, tokens }).await
            }
            Statement::TicketAtOnce => {
                let proves = TicketProves::EmailOfSignUp;
                let ticket = PresentedTicket { hash: &self.ticket, purpose: "emailOtp", proves };
                // It is good once: the first use finds it, others look for it as well.
                let begun = sign_ins::begin_with_ticket(db, self.id, session, ticket).await;
                begun.unwrap();
                true
            }
            Statement::FindByIdentity => {
                let subject = self.id.to_string();
                users::find_by_identity(db, "github", &subject).await.unwrap().is_some()
            }
        };
        assert!(is_done, "{statement:?}");
    }
}

/// Counts also what earlier transactions read and have not reported yet.
async fn rows_read(db: &mut PgConnection) -> i64 {
    sqlx::query_scalar(
        "select sum(coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0))::bigint \
           from pg_stat_xact_user_tables where schemaname = 'auth'",
    )
    .fetch_one(db)
    .await
    .unwrap()
}

async fn fill(app: &TestApp, rows: usize) {
    let sql = format!(
        "with u as (
             insert into auth.users (id, locale)
             select gen_random_uuid(), 'en' from generate_series(1, {rows}) returning id
         ), r as (
             insert into auth.user_roles (user_id, role) select u.id, 'user' from u
         ), p as (
             insert into auth.user_providers (user_id, access_token, provider_id, provider_user_id)
             select u.id, 'unset', 'github', u.id::text from u
         )
         insert into auth.refresh_tokens (user_id, refresh_token_hash, expires_at, type)
         select u.id, '\\x' || encode(sha256(u.id::text::bytea), 'hex'),
                now() + interval '30 days', 'regular'
           from u"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut app.database.connection().await).await.unwrap();
}

#[tokio::test]
async fn a_sign_in_reads_its_own_rows_whatever_the_planner_saw_of_the_tables() {
    for rows_at_first in [0, 3, 5_000] {
        let app = TestApp::start(&[]).await;
        fill(&app, rows_at_first).await;
        app.database.execute("vacuum analyze").await;
        let pool = app.database.pool().await;
        let mut pooled = pool.acquire().await.unwrap();
        let mut plain = app.database.connection().await;
        for statement in STATEMENTS {
            let first = Person::insert(&mut plain).await;
            for _ in 0..USES {
                first.read_by(statement, &mut pooled).await;
            }
        }
        for change in ["as before", "large, statistics stale", "large, statistics fresh"] {
            match change {
                "large, statistics stale" => fill(&app, 10_000).await,
                "large, statistics fresh" => app.database.execute("analyze").await,
                _ => {}
            }
            for statement in STATEMENTS {
                let person = Person::insert(&mut plain).await;
                let read = person.read_by(statement, &mut pooled).await;
                assert!(
                    read <= MOST,
                    "{statement:?} planned at {rows_at_first} rows, now {change}: {read} rows read"
                );
            }
        }
    }
}
