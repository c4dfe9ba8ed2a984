//! Newtypes for identifiers.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            sqlx::Type,
        )]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// Primary key of `auth.users`.
    UserId
}
id! {
    /// Primary key of `auth.refresh_tokens`; not a secret, stable across rotations.
    SessionId
}
id! {
    /// Primary key of `auth.user_security_keys`.
    SecurityKeyId
}
id! {
    /// Primary key of `auth.keywright_outbox`, also part of the mail's `Message-ID`.
    MessageId
}

impl MessageId {
    /// A fresh random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl UserId {
    /// A fresh random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}
