//! Security notices: what users are told about their accounts without having asked.

use crate::domain::mail::MailTemplate;

/// Something that has happened to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// There was no password before.
    PasswordSet,
    PasswordChanged,
    /// By a mailed link.
    PasswordReset,
    /// Told to the old address.
    EmailChanged {
        /// Of the new address.
        host: &'a str,
    },
    /// The old address is back; told to the one that it replaces.
    EmailRestored,
    SecurityKeyAdded,
    SecurityKeyRemoved,
    TotpOn,
    TotpOff,
    /// A personal access token.
    PatMade,
    IdentityLinked {
        provider: &'a str,
    },
    IdentityRemoved {
        provider: &'a str,
    },
    /// Too many passwords or codes were wrong.
    SignInLocked,
    /// The address was verified for the first time, of an account that may have been in use.
    AddressProved {
        /// How the account can be signed in to besides, by name and with blanks between.
        ways: &'a str,
    },
}

impl Notice<'static> {
    /// One of each.
    pub const ALL: [Self; 14] = [
        Self::PasswordSet,
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::EmailChanged { host: "example.com" },
        Self::EmailRestored,
        Self::SecurityKeyAdded,
        Self::SecurityKeyRemoved,
        Self::TotpOn,
        Self::TotpOff,
        Self::PatMade,
        Self::IdentityLinked { provider: "github" },
        Self::IdentityRemoved { provider: "github" },
        Self::SignInLocked,
        Self::AddressProved { ways: "password" },
    ];
}

impl<'a> Notice<'a> {
    /// What it is rendered with.
    pub const fn template(self) -> MailTemplate {
        match self {
            Self::PasswordSet => MailTemplate::NoticePasswordSet,
            Self::PasswordChanged => MailTemplate::NoticePasswordChanged,
            Self::PasswordReset => MailTemplate::NoticePasswordReset,
            Self::EmailChanged { .. } => MailTemplate::NoticeEmailChanged,
            Self::EmailRestored => MailTemplate::NoticeEmailRestored,
            Self::SecurityKeyAdded => MailTemplate::NoticeSecurityKeyAdded,
            Self::SecurityKeyRemoved => MailTemplate::NoticeSecurityKeyRemoved,
            Self::TotpOn => MailTemplate::NoticeTotpOn,
            Self::TotpOff => MailTemplate::NoticeTotpOff,
            Self::PatMade => MailTemplate::NoticePatMade,
            Self::IdentityLinked { .. } => MailTemplate::NoticeIdentityLinked,
            Self::IdentityRemoved { .. } => MailTemplate::NoticeIdentityRemoved,
            Self::SignInLocked => MailTemplate::NoticeSignInLocked,
            Self::AddressProved { .. } => MailTemplate::NoticeAddressProved,
        }
    }

    /// By which it is switched.
    pub const fn kind(self) -> NoticeKind {
        match self {
            Self::PasswordSet | Self::PasswordChanged | Self::PasswordReset => NoticeKind::Password,
            Self::EmailChanged { .. } | Self::EmailRestored => NoticeKind::Email,
            Self::SecurityKeyAdded | Self::SecurityKeyRemoved => NoticeKind::SecurityKey,
            Self::TotpOn | Self::TotpOff => NoticeKind::Totp,
            Self::PatMade => NoticeKind::Pat,
            Self::IdentityLinked { .. } | Self::IdentityRemoved { .. } => NoticeKind::Identity,
            Self::SignInLocked => NoticeKind::LockedSignIn,
            Self::AddressProved { .. } => NoticeKind::FirstProof,
        }
    }

    /// What it tells by name: a provider, a host, ways of signing in; nothing that a stranger could
    /// write.
    pub const fn detail(self) -> &'a str {
        match self {
            Self::EmailChanged { host } => host,
            Self::AddressProved { ways } => ways,
            Self::IdentityLinked { provider } | Self::IdentityRemoved { provider } => provider,
            Self::PasswordSet
            | Self::PasswordChanged
            | Self::PasswordReset
            | Self::EmailRestored
            | Self::SecurityKeyAdded
            | Self::SecurityKeyRemoved
            | Self::TotpOn
            | Self::TotpOff
            | Self::PatMade
            | Self::SignInLocked => "",
        }
    }
}

/// What `AUTH_SECURITY_NOTICES` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    Password,
    Email,
    SecurityKey,
    Totp,
    Pat,
    Identity,
    LockedSignIn,
    FirstProof,
}

impl NoticeKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Password,
        Self::Email,
        Self::SecurityKey,
        Self::Totp,
        Self::Pat,
        Self::Identity,
        Self::LockedSignIn,
        Self::FirstProof,
    ];

    /// As in the setting.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Email => "email",
            Self::SecurityKey => "security-key",
            Self::Totp => "totp",
            Self::Pat => "pat",
            Self::Identity => "identity",
            Self::LockedSignIn => "locked-sign-in",
            Self::FirstProof => "first-proof",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Kinds that are switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoticeKinds([bool; NoticeKind::ALL.len()]);

impl NoticeKinds {
    /// Every kind.
    pub const ALL: Self = Self([true; NoticeKind::ALL.len()]);
    /// No kind.
    pub const NONE: Self = Self([false; NoticeKind::ALL.len()]);
    /// Where the applications were there before: only what the owner of an account cannot know
    /// otherwise, since it was set up by somebody else, perhaps.
    pub const ADOPTED: Self = {
        let mut kinds = Self::NONE;
        kinds.0[NoticeKind::FirstProof as usize] = true;
        kinds
    };

    /// Whether this kind is on.
    #[must_use]
    pub const fn has(self, kind: NoticeKind) -> bool {
        self.0[kind as usize]
    }
}

impl FromIterator<NoticeKind> for NoticeKinds {
    fn from_iter<T: IntoIterator<Item = NoticeKind>>(kinds: T) -> Self {
        let mut on = Self::NONE;
        for kind in kinds {
            on.0[kind as usize] = true;
        }
        on
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mail::MailContent;

    #[test]
    fn each_template_of_a_notice_belongs_to_one() {
        let of_notices: Vec<_> = Notice::ALL.map(Notice::template).into();
        let all = MailTemplate::ALL.into_iter();
        let expected = all.filter(|template| template.content() == MailContent::Notice);
        assert_eq!(of_notices, expected.collect::<Vec<_>>());
    }

    #[test]
    fn kinds_are_switched_one_by_one() {
        let on: NoticeKinds = [NoticeKind::Pat, NoticeKind::Email].into_iter().collect();
        for kind in NoticeKind::ALL {
            assert_eq!(on.has(kind), matches!(kind, NoticeKind::Pat | NoticeKind::Email));
            assert!(NoticeKinds::ALL.has(kind) && !NoticeKinds::NONE.has(kind));
            assert_eq!(NoticeKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(NoticeKind::from_name("all"), None);
    }
}
