//! The table for people: flags with their help, and `docs/settings.md`.

mod arguments;
mod markdown;

pub use self::arguments::arguments;
pub use self::markdown::settings_markdown;
