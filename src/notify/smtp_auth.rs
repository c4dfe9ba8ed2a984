//! `AUTH` of SMTP: PLAIN, LOGIN and CRAM-MD5, spoken over lettre's connection.
//!
//! lettre has no CRAM-MD5 and knows fewer LOGIN prompts than servers send.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::response::Response;
use md5::Md5;
use secrecy::{ExposeSecret, SecretString};

use crate::config::SmtpAuthMethod;
use crate::notify::smtp_error::SmtpError;

/// Hosts to which mail and passwords may go in the clear: this machine, or a mail catcher beside it.
const LOCAL_HOSTS: [&str; 4] = ["localhost", "127.0.0.1", "::1", "mailhog"];

/// Whether a host, without brackets, is one of them.
pub(super) fn is_local(host: &str) -> bool {
    LOCAL_HOSTS.contains(&host)
}

/// How to sign in.
#[derive(Debug)]
pub struct SmtpAuth {
    pub method: SmtpAuthMethod,
    pub user: String,
    pub password: SecretString,
}

/// A command line as lettre sends it.
pub(super) struct Line(pub(super) String);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\r\n", self.0)
    }
}

impl SmtpAuth {
    /// Signs in, unless that would show the password to the network.
    pub async fn sign_in(
        &self,
        connection: &mut AsyncSmtpConnection,
        host: &str,
    ) -> Result<(), SmtpError> {
        let shows_password = matches!(self.method, SmtpAuthMethod::Plain | SmtpAuthMethod::Login);
        if shows_password && !connection.is_encrypted() && !is_local(host) {
            return Err(SmtpError::Unencrypted);
        }
        let last = match self.method {
            SmtpAuthMethod::Plain => {
                let identity = format!("\0{}\0{}", self.user, self.password.expose_secret());
                say(connection, format!("AUTH PLAIN {}", BASE64.encode(identity))).await?
            }
            SmtpAuthMethod::Login => {
                let mut response = say(connection, "AUTH LOGIN".to_owned()).await?;
                // One question for the name and one for the password.
                for _ in 0..2 {
                    let reply = self.login_reply(&challenge(&response)?)?;
                    response = say(connection, BASE64.encode(reply)).await?;
                }
                response
            }
            SmtpAuthMethod::CramMd5 => {
                let response = say(connection, "AUTH CRAM-MD5".to_owned()).await?;
                let reply = self.cram_md5_reply(&challenge(&response)?);
                say(connection, BASE64.encode(reply)).await?
            }
        };
        if last.has_code(235) { Ok(()) } else { Err(SmtpError::UnexpectedChallenge) }
    }

    fn login_reply(&self, prompt: &[u8]) -> Result<&str, SmtpError> {
        let prompt = String::from_utf8_lossy(prompt).to_ascii_lowercase();
        match prompt.trim_end_matches(['\0', ' ', ':']) {
            "username" | "user name" | "user" => Ok(&self.user),
            "password" => Ok(self.password.expose_secret()),
            _ => Err(SmtpError::UnexpectedChallenge),
        }
    }

    /// RFC 2195.
    fn cram_md5_reply(&self, challenge: &[u8]) -> String {
        let key = self.password.expose_secret().as_bytes();
        let mut mac = Hmac::<Md5>::new_from_slice(key).expect("HMAC takes keys of every length");
        mac.update(challenge);
        let digest = mac.finalize().into_bytes();
        let mut reply = format!("{} ", self.user);
        for byte in digest {
            let _ = write!(reply, "{byte:02x}");
        }
        reply
    }
}

async fn say(connection: &mut AsyncSmtpConnection, line: String) -> Result<Response, SmtpError> {
    connection.command(Line(line)).await.map_err(SmtpError::at("AUTH"))
}

/// The decoded challenge of a 334 reply.
fn challenge(response: &Response) -> Result<Vec<u8>, SmtpError> {
    if !response.has_code(334) {
        return Err(SmtpError::UnexpectedChallenge);
    }
    BASE64
        .decode(response.first_line().unwrap_or_default().trim())
        .map_err(|_not_base64| SmtpError::UnexpectedChallenge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(user: &str, password: &str) -> SmtpAuth {
        SmtpAuth {
            method: SmtpAuthMethod::CramMd5,
            user: user.to_owned(),
            password: password.into(),
        }
    }

    #[test]
    fn cram_md5_responds_as_the_example_of_rfc_2195() {
        assert_eq!(
            auth("tim", "tanstaaftanstaaf")
                .cram_md5_reply(b"<1896.697170952@postoffice.reston.mci.net>"),
            "tim b913a602c7eda7a495b4e6e7334d3890"
        );
    }

    #[test]
    fn login_knows_the_prompts_that_servers_use() {
        let auth = auth("tim", "secret");
        for prompt in ["Username:", "User Name:", "Username", "User:", "User Name\0"] {
            assert_eq!(auth.login_reply(prompt.as_bytes()).unwrap(), "tim");
        }
        for prompt in ["Password:", "Password", "password:"] {
            assert_eq!(auth.login_reply(prompt.as_bytes()).unwrap(), "secret");
        }
        assert!(auth.login_reply(b"Your PIN:").is_err());
    }
}
