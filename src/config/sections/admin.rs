//! The listener for operators.

use std::net::{IpAddr, SocketAddr};

use secrecy::{ExposeSecret as _, SecretString};

use crate::config::reading::{ConfigErrors, Reader, Sources};
use crate::config::rows;
use crate::settings::Setting;

/// Shortest token, in bytes: 32 hexadecimal digits are 128 bits.
const MIN_TOKEN: usize = 32;

/// The listener for operators; all ours.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// `AUTH_ADMIN_BIND` and `AUTH_ADMIN_PORT`; `None` is off.
    pub listen: Option<SocketAddr>,
    /// `AUTH_ADMIN_TOKEN`: may do everything there.
    pub token: Option<SecretString>,
    /// `AUTH_ADMIN_METRICS_TOKEN`: may read metrics.
    pub metrics_token: Option<SecretString>,
}

impl AdminConfig {
    /// These settings alone, for those who ask a server and are none.
    pub fn from_sources(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(sources);
        let config = Self::read(&mut reader);
        reader.checked(config)
    }

    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        let bind = read_bind(reader);
        let port = read_port(reader);
        let token = read_token(reader, &rows::admin::ADMIN_TOKEN);
        let metrics_token = read_token(reader, &rows::admin::ADMIN_METRICS_TOKEN);
        if port.is_some() && token.is_none() {
            reader.refuse(
                &rows::admin::ADMIN_TOKEN,
                "AUTH_ADMIN_PORT switches the admin listener on, so set a token of at least 32 \
                 characters, such as the output of: openssl rand -hex 32",
            );
        }
        if let (Some(token), Some(metrics_token)) = (&token, &metrics_token)
            && token.expose_secret() == metrics_token.expose_secret()
        {
            reader.refuse(
                &rows::admin::ADMIN_METRICS_TOKEN,
                "it must differ from AUTH_ADMIN_TOKEN, or it could do more than read metrics",
            );
        }
        Self { listen: port.map(|port| SocketAddr::new(bind, port)), token, metrics_token }
    }
}

fn read_bind(reader: &mut Reader<'_>) -> IpAddr {
    let text = reader.text(&rows::admin::ADMIN_BIND);
    text.trim_start_matches('[').trim_end_matches(']').parse().unwrap_or_else(|_error| {
        reader.refuse(&rows::admin::ADMIN_BIND, "write an IP address, such as 127.0.0.1");
        IpAddr::from([127, 0, 0, 1])
    })
}

fn read_port(reader: &mut Reader<'_>) -> Option<u16> {
    let text = reader.text(&rows::admin::ADMIN_PORT);
    if text.is_empty() {
        return None;
    }
    let port = text.parse();
    if port.is_err() {
        reader.refuse(
            &rows::admin::ADMIN_PORT,
            "write a port from 1 to 65535, 0 for a free one, or nothing to switch it off",
        );
    }
    port.ok()
}

fn read_token(reader: &mut Reader<'_>, setting: &'static Setting) -> Option<SecretString> {
    let token = reader.optional_secret(setting)?;
    let text = token.expose_secret();
    if text.len() < MIN_TOKEN {
        reader.refuse(setting, format!("it must have at least {MIN_TOKEN} characters"));
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        reader.refuse(setting, "it may have letters, digits and punctuation, no blanks");
    }
    Some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    /// The configuration, or the settings that are named as wrong.
    fn read(variables: &[(&str, &str)]) -> Result<AdminConfig, Vec<String>> {
        let sources = Sources::from_env(variables.iter().copied());
        AdminConfig::from_sources(&sources)
            .map_err(|errors| errors.0.into_iter().map(|error| error.variable).collect())
    }

    #[test]
    fn it_is_off_unless_a_port_is_named_and_then_needs_a_token() {
        assert_eq!(read(&[]).unwrap().listen, None);
        let on = read(&[("AUTH_ADMIN_PORT", "4001"), ("AUTH_ADMIN_TOKEN", TOKEN)]).unwrap();
        assert_eq!(on.listen, Some(SocketAddr::from(([127, 0, 0, 1], 4_001))));
        let free = read(&[("AUTH_ADMIN_PORT", "0"), ("AUTH_ADMIN_TOKEN", TOKEN)]).unwrap();
        assert_eq!(free.listen.unwrap().port(), 0);
        assert_eq!(read(&[("AUTH_ADMIN_PORT", "4001")]).unwrap_err(), ["AUTH_ADMIN_TOKEN"]);
    }

    #[test]
    fn weak_tokens_and_nonsense_are_refused_by_name() {
        for (variable, value) in [
            ("AUTH_ADMIN_TOKEN", "too short"),
            ("AUTH_ADMIN_TOKEN", "blanks 0123456789 0123456789 0123456789"),
            ("AUTH_ADMIN_METRICS_TOKEN", "too-short"),
            ("AUTH_ADMIN_PORT", "65536"),
            ("AUTH_ADMIN_BIND", "localhost"),
        ] {
            assert_eq!(read(&[(variable, value)]).unwrap_err(), [variable], "{value}");
        }
        let same = [("AUTH_ADMIN_TOKEN", TOKEN), ("AUTH_ADMIN_METRICS_TOKEN", TOKEN)];
        assert_eq!(read(&same).unwrap_err(), ["AUTH_ADMIN_METRICS_TOKEN"]);
    }
}
