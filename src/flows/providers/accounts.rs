//! From an identity to a user: who is known signs in, who is not becomes a user.

use secrecy::SecretString;
use sqlx::PgConnection;
use uuid::Uuid;

use super::state::Intent;
use crate::app::App;
use crate::config::Config;
use crate::domain::asked_by::AskedBy;
use crate::domain::email::EmailAddress;
use crate::domain::email_access::EmailAccess;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::notice::Notice;
use crate::domain::random_secret::cookie_secret;
use crate::domain::session_basis::SessionBasis;
use crate::domain::sign_up_options::SignUpOptions;
use crate::domain::user::User;
use crate::flows::email::verified_address::{self, Proof, browser_hash, prove_address};
use crate::flows::guards::bearer::registered;
use crate::flows::guards::live_session::Caller;
use crate::flows::sessions::session;
use crate::flows::sessions::sign_in_result::{SignInResult, SignedInUser, finish_sign_in};
use crate::flows::tickets::notices;
use crate::flows::tickets::ticket_mail::{Recipient, promise_ticket, require_transport};
use crate::oauth::profile::{EmailAssurance, Profile};
use crate::persistence::new_users::{self, NewUser};
use crate::persistence::pooled_connection::Transaction;
use crate::persistence::users::{self, LockedUser};
use crate::persistence::{constraints, pending_identity_links, user_providers};
use crate::tokens::ticket::TicketKind;

/// How often a sign-in is tried again that met another one of the same person.
const TRIES: usize = 3;

/// Somebody as a provider knows them.
#[derive(Debug)]
pub struct ProviderIdentity {
    provider_id: String,
    subject: String,
    email: Option<EmailAddress>,
    /// Whether the provider has verified the address.
    is_verified: bool,
    name: Option<String>,
    picture: Option<String>,
    /// To be kept for the user, as JSON.
    tokens: Option<SecretString>,
}

impl ProviderIdentity {
    /// From a profile; `trust_email` counts addresses as verified where the provider does not tell.
    pub fn new(
        provider_id: &str,
        profile: Profile,
        trust_email: bool,
        tokens: Option<SecretString>,
    ) -> Self {
        let email = profile.email.and_then(|email| EmailAddress::parse(email).ok());
        let is_verified = match profile.email_assurance {
            EmailAssurance::Verified => email.is_some(),
            EmailAssurance::Unknown => email.is_some() && trust_email,
            EmailAssurance::Unverified => false,
        };
        Self {
            provider_id: provider_id.to_owned(),
            subject: profile.subject,
            email,
            is_verified,
            name: profile.name,
            picture: profile.picture,
            tokens,
        }
    }
}

impl ProviderIdentity {
    /// Whether the lists of addresses allow it.
    pub fn is_welcome(&self, access: &EmailAccess) -> bool {
        self.email.as_ref().is_none_or(|email| access.allows(email.as_str()))
    }
}

/// A sign-in that succeeded.
pub struct SignedIn {
    /// `None` until the address is verified, by the mail that was sent.
    pub result: Option<SignInResult>,
    /// What the browser has to keep until then.
    pub browser: Option<SecretString>,
}

/// What a sign-in asks for.
#[derive(Clone, Copy)]
pub struct SignInTerms<'a> {
    pub intent: Intent,
    pub options: &'a SignUpOptions,
    /// Whether there is a browser that can keep something.
    pub has_browser: bool,
}

/// Signs the owner of an identity in, or up.
pub async fn sign_in(
    app: &App,
    identity: &ProviderIdentity,
    terms: SignInTerms<'_>,
) -> Result<SignedIn, AuthError> {
    let mut tries = TRIES;
    loop {
        match try_sign_in(app, identity, terms).await {
            // Somebody with the same identity or address was faster, and is found now.
            Err(Collision::Lost(_)) if tries > 1 => tries -= 1,
            Err(Collision::Lost(error) | Collision::Other(error)) => return Err(error),
            Ok(entered) => return Ok(entered),
        }
    }
}

/// Adds an identity to a user who is signed in.
pub async fn link(app: &App, caller: Caller, identity: &ProviderIdentity) -> Result<(), AuthError> {
    registered(app, caller.id()).await?;
    let mut transaction = app.pool.begin_for(caller.id()).await?;
    let user_id = caller.lock(app, &mut transaction).await?.id();
    let (provider, subject) = (&identity.provider_id, &identity.subject);
    let now = app.clock.now();
    let link = user_providers::insert(&mut *transaction, user_id, provider, subject, now).await?;
    let link = link.ok_or(ErrorCode::ProviderAccountAlreadyLinked)?;
    keep_tokens(app, &mut transaction, link.id, identity).await?;
    Box::pin(notices::promise(app, &mut transaction, user_id, Notice::IdentityLinked { provider }))
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Why a try did not succeed.
enum Collision {
    /// A unique value was taken in the meantime; another look will find whose it is.
    Lost(AuthError),
    Other(AuthError),
}

impl<E: Into<AuthError>> From<E> for Collision {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

async fn try_sign_in(
    app: &App,
    identity: &ProviderIdentity,
    terms: SignInTerms<'_>,
) -> Result<SignedIn, Collision> {
    let config = app.config.load_full();
    let (provider, subject) = (&identity.provider_id, &identity.subject);
    if let Some((user, link)) = users::find_by_identity(&app.pool, provider, subject).await? {
        check_known(&user, &config, terms.intent)?;
        return sign_in_known(app, identity, user.id, link, terms).await;
    }
    let mut transaction = app.pool.begin().await?;
    if let Some(email) = &identity.email
        && let Some(found) = users::find_by_email(&mut *transaction, email).await?
    {
        let (user, locked) = lock_found(&mut transaction, email, found.user.id).await?;
        let may_prove = identity.is_verified
            && !user.email_verified
            && verified_address::provider_may_prove(app, &locked);
        if terms.intent == Intent::SignUp && !may_prove {
            return Err(ErrorCode::UserAlreadyExists.into());
        }
        // Both sides have to be sure of the address, or else one could take the other's account
        // (docs/reference-behaviour.md#both-sides-verify-the-address).
        if !identity.is_verified {
            // Unless somebody with the same identity wrote both since the first look.
            let link = user_providers::find(&mut *transaction, provider, subject).await?;
            let refusal = ErrorCode::UnverifiedUser;
            return Err(if link.is_some() { lost(refusal) } else { refusal.into() });
        }
        match user.check_registered(&config.user_rules()) {
            Err(ErrorCode::UnverifiedUser) if may_prove => {}
            state => state?,
        }
        if may_prove {
            // Nobody has used the account: who set it up need not be the owner of the address.
            let proof = Proof::Provider { name: identity.name.as_deref() };
            prove_address(app, &mut transaction, user.id, &locked, proof).await?;
        } else if !user.email_verified {
            return Err(ErrorCode::UnverifiedUser.into());
        }
        let now = app.clock.now();
        let link =
            user_providers::insert(&mut *transaction, user.id, provider, subject, now).await?;
        let link = link.ok_or_else(|| lost(ErrorCode::ProviderAccountAlreadyLinked))?;
        Box::pin(notices::promise(
            app,
            &mut transaction,
            user.id,
            Notice::IdentityLinked { provider },
        ))
        .await?;
        keep_tokens(app, &mut transaction, link.id, identity).await?;
        let user = SignedInUser::Known(link.user_id);
        return finish(app, transaction, user, link.id, terms).await;
    }
    sign_up(app, transaction, identity, terms, &config).await
}

/// The user who was found by an address, kept from changing; lost if that has happened already.
async fn lock_found(
    db: &mut PgConnection,
    email: &EmailAddress,
    id: UserId,
) -> Result<(User, LockedUser), Collision> {
    let locked = users::lock(&mut *db, id).await?;
    let found = users::find_by_email(&mut *db, email).await?;
    match (found, locked) {
        (Some(found), Some(locked)) if found.user.id == id => Ok((found.user, locked)),
        _ => Err(lost(ErrorCode::InvalidEmailPassword)),
    }
}

fn lost(code: ErrorCode) -> Collision {
    Collision::Lost(code.into())
}

fn check_known(user: &User, config: &Config, intent: Intent) -> Result<(), ErrorCode> {
    if intent == Intent::SignUp {
        return Err(ErrorCode::UserAlreadyExists);
    }
    user.check_registered(&config.user_rules())
}

/// Signs the owner of an identity in who is known by it, and keeps the tokens that came with it.
async fn sign_in_known(
    app: &App,
    identity: &ProviderIdentity,
    user_id: UserId,
    link: Uuid,
    terms: SignInTerms<'_>,
) -> Result<SignedIn, Collision> {
    if terms.options.code_challenge.is_some() {
        let mut transaction = app.pool.begin_for(user_id).await?;
        keep_tokens(app, &mut transaction, link, identity).await?;
        return finish(app, transaction, SignedInUser::Known(user_id), link, terms).await;
    }
    let tokens = identity.tokens.as_ref().map(|tokens| sealed(app, link, tokens));
    let basis = SessionBasis::Identity { link, tokens };
    let session = session::sign_in(app, user_id, &basis).await?;
    Ok(SignedIn { result: Some(SignInResult::Session(Box::new(session))), browser: None })
}

/// Signs the owner of an identity in.
async fn finish(
    app: &App,
    transaction: Transaction,
    user: SignedInUser,
    link: Uuid,
    terms: SignInTerms<'_>,
) -> Result<SignedIn, Collision> {
    let challenge = terms.options.code_challenge.as_ref();
    let basis = SessionBasis::Identity { link, tokens: None };
    let result = finish_sign_in(app, transaction, user, &basis, challenge).await?;
    Ok(SignedIn { result: Some(result), browser: None })
}

async fn sign_up(
    app: &App,
    mut transaction: Transaction,
    identity: &ProviderIdentity,
    terms: SignInTerms<'_>,
    config: &Config,
) -> Result<SignedIn, Collision> {
    let accounts = &config.accounts;
    if accounts.disable_signup {
        return Err(ErrorCode::SignupDisabled.into());
    }
    if config.methods.disable_auto_signup && terms.intent == Intent::SignIn {
        return Err(ErrorCode::InvalidEmailPassword.into());
    }
    let email = identity.email.as_ref();
    if email.is_some_and(|email| !accounts.email_access.allows(email.as_str())) {
        return Err(ErrorCode::InvalidEmailPassword.into());
    }
    let name = identity.name.as_deref().unwrap_or(&identity.subject);
    let options = terms.options.clone().resolve(
        &accounts.redirects,
        &accounts.roles,
        &accounts.locales,
        name,
    )?;
    let is_unverified = email.is_some() && !identity.is_verified;
    let needs_mail = is_unverified && accounts.email_verification_required;
    if needs_mail && !accounts.disable_new_users {
        require_transport(app)?;
    }
    let now = app.clock.now();
    let avatar_url = match (&identity.picture, email) {
        (Some(picture), _) => picture.clone(),
        (None, Some(email)) => accounts.gravatar.url_for(email),
        (None, None) => String::new(),
    };
    let user = NewUser {
        email: email.map(EmailAddress::as_str),
        email_verified: identity.is_verified,
        disabled: accounts.disable_new_users,
        avatar_url: &avatar_url,
        last_seen: (!needs_mail && !accounts.disable_new_users).then_some(now),
        ..NewUser::with_options(UserId::random(), now, &options)
    };
    if let Err(error) = new_users::insert(&mut *transaction, &user, None).await {
        let is_taken = constraints::USERS_EMAIL.is_broken_by(&error);
        let refusal = constraints::refusal(error);
        return Err(if is_taken { Collision::Lost(refusal) } else { refusal.into() });
    }
    let (provider, subject) = (&identity.provider_id, &identity.subject);
    let mut identity_link = None;
    if !needs_mail {
        let link =
            user_providers::insert(&mut *transaction, user.id, provider, subject, now).await?;
        let link = link.ok_or_else(|| lost(ErrorCode::ProviderAccountAlreadyLinked))?;
        keep_tokens(app, &mut transaction, link.id, identity).await?;
        identity_link = Some(link);
    }
    let browser =
        (is_unverified && terms.has_browser).then(|| cookie_secret(config.server.is_https()));
    if is_unverified {
        let hash = browser.as_ref().map(browser_hash);
        let hash = hash.as_ref().map(<[u8; 32]>::as_slice);
        pending_identity_links::insert(&mut *transaction, user.id, provider, subject, hash, now)
            .await?;
    }
    if accounts.disable_new_users {
        // The row stays, for an administrator to enable.
        transaction.commit().await?;
        return Err(ErrorCode::DisabledUser.into());
    }
    if let Some(link) = identity_link {
        let user = SignedInUser::New(link.user_id);
        let finished = finish(app, transaction, user, link.id, terms).await?;
        return Ok(SignedIn { browser, ..finished });
    }
    let recipient = Recipient {
        user_id: user.id,
        email: email.map_or("", EmailAddress::as_str),
        new_email: None,
        display_name: &options.display_name,
        locale: &options.locale,
    };
    let kind = TicketKind::VerifyEmail;
    let return_target = &options.return_target;
    let asked_by = &AskedBy::Registration;
    let mail =
        promise_ticket(app, &mut transaction, kind, &recipient, return_target, asked_by).await?;
    transaction.commit().await?;
    mail.send(app).await;
    Ok(SignedIn { result: None, browser })
}

/// Seals the provider's tokens for this row and no other.
async fn keep_tokens(
    app: &App,
    db: &mut PgConnection,
    link: Uuid,
    identity: &ProviderIdentity,
) -> Result<(), AuthError> {
    let Some(tokens) = &identity.tokens else { return Ok(()) };
    user_providers::store_tokens(&mut *db, link, &sealed(app, link, tokens)).await?;
    Ok(())
}

fn sealed(app: &App, link: Uuid, tokens: &SecretString) -> SecretString {
    app.secrets.sealer.seal(&token_context(link), tokens).into()
}

/// What sealed tokens are bound to.
pub(super) fn token_context(link: Uuid) -> Vec<u8> {
    [b"provider tokens:".as_slice(), link.as_bytes()].concat()
}
