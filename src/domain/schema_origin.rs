//! Who made the `auth` schema, by which some defaults differ: clients of an adopted database find what
//! they are used to.

/// Who made the `auth` schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Keywright, on an empty database.
    Created,
    /// Hasura Auth or Nhost Auth.
    Adopted,
}

impl Origin {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Adopted => "adopted",
        }
    }
}
