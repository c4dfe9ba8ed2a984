//! Under what pending flows of a client are counted.

use std::net::IpAddr;

use crate::app::App;
use crate::domain::client_network::ClientNetwork;

/// Enough that no two networks meet.
const LENGTH: usize = 16;

/// A keyed hash, so that the database tells nobody who began what.
pub fn network_key(app: &App, client: IpAddr) -> Vec<u8> {
    let network = ClientNetwork::from(client).to_string();
    app.secrets.sealer.hash_code(b"client network", &network)[..LENGTH].to_vec()
}
