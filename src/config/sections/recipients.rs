//! What people are sent without having asked for it, and how much at most.

use std::time::Duration;

use crate::config::reading::Reader;
use crate::config::rows;
use crate::domain::notice::{NoticeKind, NoticeKinds};
use crate::domain::rate_limit::Policy;
use crate::settings::value::{parse_duration, parse_int, parse_list};

/// What people are sent without having asked for it, and how much at most.
#[derive(Clone, Copy, Debug)]
pub struct RecipientsConfig {
    /// `AUTH_SECURITY_NOTICES` (ours); `None`: whoever made the database decides.
    pub notices: Option<NoticeKinds>,
    /// `AUTH_RECIPIENT_LIMITS` (ours).
    pub limits: RecipientLimits,
}

/// `AUTH_RECIPIENT_LIMITS`; `None` is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecipientLimits {
    /// Mails that somebody asks for, of all kinds together.
    pub mail: Option<Policy>,
    pub sms: Option<Policy>,
    /// Security notices, each template by itself.
    pub notice: Option<Policy>,
}

impl RecipientsConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        Self { notices: read_notices(reader), limits: read_limits(reader) }
    }
}

fn read_notices(reader: &mut Reader<'_>) -> Option<NoticeKinds> {
    let setting = &rows::recipients::SECURITY_NOTICES;
    let names = reader.list(setting);
    match names.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => None,
        ["all"] => Some(NoticeKinds::ALL),
        ["none"] => Some(NoticeKinds::NONE),
        names => {
            let kinds: Option<NoticeKinds> =
                names.iter().map(|name| NoticeKind::from_name(name)).collect();
            if kinds.is_none() {
                let known = NoticeKind::ALL.map(NoticeKind::name).join(", ");
                reader.refuse(setting, format!("write all, none, or some of {known}"));
            }
            kinds
        }
    }
}

fn read_limits(reader: &mut Reader<'_>) -> RecipientLimits {
    let setting = &rows::recipients::RECIPIENT_LIMITS;
    let given = reader.list(setting);
    if given == ["off"] {
        return RecipientLimits::default();
    }
    let defaults = parse_list(setting.default);
    let mut limits = RecipientLimits::default();
    for entry in defaults.iter().chain(&given) {
        if limits.set(entry).is_none() {
            reader.refuse(
                setting,
                "write off, or a list such as mail:5/1h,sms:off: a number that is not 0 and a duration of at least a second",
            );
        }
    }
    limits
}

impl RecipientLimits {
    /// Takes over `<what>:<number>/<duration>` or `<what>:off`.
    fn set(&mut self, entry: &str) -> Option<()> {
        let (what, limit) = entry.split_once(':')?;
        let policy = match limit {
            "off" => None,
            _ => Some(parse_policy(limit)?),
        };
        match what {
            "mail" => self.mail = policy,
            "sms" => self.sms = policy,
            "notice" => self.notice = policy,
            _ => return None,
        }
        Some(())
    }
}

fn parse_policy(text: &str) -> Option<Policy> {
    let (limit, window) = text.split_once('/')?;
    let limit = u32::try_from(parse_int(limit).ok()?).ok().filter(|limit| *limit > 0)?;
    let window = parse_duration(window).ok().filter(|window| *window >= Duration::from_secs(1))?;
    Some(Policy { limit, window })
}
