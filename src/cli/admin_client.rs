//! The admin listener of a running server, as commands call it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Arg, ArgMatches};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;

use crate::config::{self, AdminConfig, Sources, rows};
use crate::http_client;

/// Where `keywright dev` writes how to reach it.
pub const DEV_FILE: &str = "admin.env";

/// Longest wait for a response.
const DEADLINE: Duration = Duration::from_secs(10);

/// A running server's admin listener.
pub struct AdminClient {
    url: String,
    token: SecretString,
    http: reqwest::Client,
}

impl AdminClient {
    /// What tells a command where the server is.
    pub fn arguments() -> Vec<Arg> {
        let wanted = [
            rows::admin::ADMIN_PORT,
            rows::admin::ADMIN_BIND,
            rows::admin::ADMIN_TOKEN,
            rows::server::ENV_FILE,
        ];
        let is_wanted = |argument: &Arg| {
            wanted.iter().any(|setting| setting.flag == Some(argument.get_id().as_str()))
        };
        let mut arguments: Vec<_> = config::arguments().into_iter().filter(is_wanted).collect();
        arguments.push(
            Arg::new("dir")
                .long("dir")
                .global(true)
                .help("Directory of the development server")
                .default_value(".keywright"),
        );
        arguments.push(
            Arg::new("url")
                .long("url")
                .global(true)
                .help("Address of the admin listener, such as http://10.0.0.7:4001"),
        );
        arguments
    }

    /// The server of the command line, of the environment, or of `keywright dev`.
    pub fn find(matches: &ArgMatches) -> anyhow::Result<Self> {
        let mut sources = Sources::from_process(matches)?;
        let url = matches.get_one::<String>("url");
        let dir = matches.get_one::<String>("dir").map_or(".keywright", String::as_str);
        let dev_file = Path::new(dir).join(DEV_FILE);
        if url.is_none() && !sources.is_set(&rows::admin::ADMIN_PORT) && dev_file.is_file() {
            sources = sources.with_env_file_at(&dev_file)?;
        }
        let AdminConfig { listen, token, .. } = AdminConfig::from_sources(&sources)?;
        let url = match (url, listen) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Some(listen)) if listen.port() != 0 => format!("http://{}", connectable(listen)),
            _ => bail!(
                "no server: set AUTH_ADMIN_PORT to the port of its admin listener (0 is not one), \
                 or give --url"
            ),
        };
        Self::new(url, token.context("AUTH_ADMIN_TOKEN is not set")?)
    }

    /// The server of this configuration, if it has a listener that can be found.
    pub fn of(config: &AdminConfig) -> anyhow::Result<Option<Self>> {
        match (config.listen, &config.token) {
            (Some(listen), Some(token)) if listen.port() != 0 => {
                Self::new(format!("http://{}", connectable(listen)), token.clone()).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn new(url: String, token: SecretString) -> anyhow::Result<Self> {
        // A server that is asked for its state is asked directly.
        let http = http_client::builder().timeout(DEADLINE).no_proxy().build()?;
        Ok(Self { url, token, http })
    }

    /// Begins a request with the token.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.url);
        self.http.request(method, url).bearer_auth(self.token.expose_secret())
    }

    /// Sends it; a token that is refused is an error of its own.
    pub async fn send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> anyhow::Result<(StatusCode, String)> {
        let response = request
            .send()
            .await
            .with_context(|| format!("no response from {}: is the server running?", self.url))?;
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            bail!("{} refuses the token: is AUTH_ADMIN_TOKEN the one of that server?", self.url);
        }
        Ok((status, response.text().await?))
    }

    /// The body of a successful `GET`.
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        let (status, text) = self.send(self.request(Method::GET, path)).await?;
        if !status.is_success() {
            bail!("{}{path} responds {status}: {}", self.url, text.trim());
        }
        Ok(text)
    }

    /// The body of a successful `GET`, as this version knows it.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        serde_json::from_str(&self.text(path).await?)
            .with_context(|| format!("{} is of another version of Keywright", self.url))
    }
}

/// Every interface is not an address to connect to.
fn connectable(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_interface_is_reached_on_this_machine() {
        let reached = |text: &str| connectable(text.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(reached("[::]:1"), "[::1]:1");
        assert_eq!(reached("10.1.2.3:1"), "10.1.2.3:1");
    }
}
