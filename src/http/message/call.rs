//! What the layers of the front end hand to each other.

use std::net::IpAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

use super::request_id::RequestId;
use super::route::{Found, Missed};

/// Every response has its whole body in memory.
pub type Reply = Response<Full<Bytes>>;

/// A request as it comes from a connection.
#[derive(Debug)]
pub struct Inbound<B> {
    pub request: Request<B>,
    /// The other end of the socket.
    pub peer: IpAddr,
}

/// A request that has a name and an owner.
#[derive(Debug)]
pub struct Call<B> {
    pub request: Request<B>,
    pub request_id: RequestId,
    pub client_ip: IpAddr,
}

/// A request whose route has been looked up.
#[derive(Debug)]
pub struct Routed<B> {
    pub call: Call<B>,
    pub route: Result<Found, Missed>,
}

impl<B> Routed<B> {
    /// Whether it asks how this server is.
    pub fn is_probe(&self) -> bool {
        self.route.as_ref().is_ok_and(|found| found.rules.is_probe)
    }
}
