//! From texts to values: where a value comes from, how it is read, and what is wrong with it.

pub(crate) mod env_file;
mod error;
mod ignored;
mod notice;
mod quotes;
mod reader;
pub(crate) mod secret_files;
mod service_links;
mod sources;

pub use self::error::{ConfigError, ConfigErrors};
pub(in crate::config) use self::ignored::report_ignored;
pub use self::notice::{Notice, NoticeLevel};
pub(in crate::config) use self::reader::Reader;
pub use self::sources::{Provenance, Sources};
