//! What a setting is, whoever has it: configuration and providers declare theirs with these types.

mod setting;
pub mod value;

pub(crate) use self::setting::place;
pub use self::setting::{Effect, Kind, Setting, Support};
