//! The server under measurement: where it is, and whether it may be measured.

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use http::HeaderValue;
use tokio::net::{TcpStream, lookup_host};
use url::Url;

/// A resolved server; all connections go to one address.
#[derive(Clone, Debug)]
pub struct Target {
    /// As given, for the report.
    pub url: String,
    pub address: SocketAddr,
    /// The value of the `Host` header.
    pub host: String,
    /// In front of every path.
    pub prefix: String,
}

impl Target {
    /// Resolves a base address, refuses what is not on this machine unless `allow_remote`, and
    /// takes the first address that accepts a connection.
    ///
    /// The check is made on the addresses that are used afterwards, so a name cannot pass it and
    /// then lead elsewhere.
    pub async fn resolve(url: &Url, allow_remote: bool) -> anyhow::Result<Self> {
        ensure!(url.scheme() == "http", "{url}: only plain http:// can be measured");
        let Some(host) = url.host() else { bail!("{url}: no host in it") };
        let port = url.port_or_known_default().unwrap_or(80);
        let addresses: Vec<SocketAddr> = match host {
            url::Host::Domain(name) => lookup_host((name, port))
                .await
                .with_context(|| format!("cannot resolve {name}"))?
                .collect(),
            url::Host::Ipv4(ip) => vec![SocketAddr::from((ip, port))],
            url::Host::Ipv6(ip) => vec![SocketAddr::from((ip, port))],
        };
        if let Some(remote) = addresses.iter().find(|address| !address.ip().is_loopback())
            && !allow_remote
        {
            bail!(
                "{url} is not on this machine ({}): this is a load generator; if that server is \
                 yours to load, say --allow-remote",
                remote.ip()
            );
        }
        let mut last = None;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(_) => return Self::new(url, address),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(|| anyhow::anyhow!("no address"), anyhow::Error::from))
            .with_context(|| format!("no server accepts connections at {url}"))
    }

    fn new(url: &Url, address: SocketAddr) -> anyhow::Result<Self> {
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => address.to_string(),
        };
        Ok(Self {
            url: url.as_str().trim_end_matches('/').to_owned(),
            address,
            host: {
                HeaderValue::try_from(&host).context("the host does not fit a header")?;
                host
            },
            prefix: url.path().trim_end_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolve(url: &str, allow_remote: bool) -> anyhow::Result<Target> {
        Target::resolve(&url.parse().unwrap(), allow_remote).await
    }

    #[tokio::test]
    async fn addresses_of_other_machines_are_refused_before_anything_is_sent() {
        for url in ["http://192.0.2.1:4000", "http://[2001:db8::1]/v1", "http://0.0.0.0:1"] {
            let error = resolve(url, false).await.unwrap_err().to_string();
            assert!(error.contains("--allow-remote"), "{error}");
        }
    }

    #[tokio::test]
    async fn tls_is_refused_with_a_reason() {
        assert!(
            resolve("https://127.0.0.1", false).await.unwrap_err().to_string().contains("http://")
        );
    }

    #[tokio::test]
    async fn a_prefix_stays_in_front_of_every_path() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = resolve(&format!("http://localhost:{port}/v1/"), false).await.unwrap();
        assert_eq!(target.prefix, "/v1");
        assert_eq!(target.host, format!("localhost:{port}"));
        assert!(target.address.ip().is_loopback());
    }

    #[tokio::test]
    async fn a_closed_port_names_the_address() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        assert!(resolve(&url, false).await.unwrap_err().to_string().contains(&url));
    }
}
