//! Opens the listening socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that the kernel completes while none is accepted; it caps this itself.
const BACKLOG: i32 = 4_096;

/// Why there is no socket to accept connections from.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Taken, not allowed, or not of this machine. Prints its cause: the text goes to a terminal.
    #[error(
        "cannot listen on {address}: {cause}; set {port} to a free port or {bind} to an address of this machine"
    )]
    Listen { address: SocketAddr, cause: io::Error, port: &'static str, bind: &'static str },
    /// The socket is there but does not tell its address.
    #[error("the listening socket has no address")]
    Address(#[from] io::Error),
}

/// Listens on the address. `[::]` takes IPv4 as well; on a machine without IPv6 it becomes
/// `0.0.0.0`. Must be called inside a Tokio runtime.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    bind_for(address, "AUTH_PORT", "AUTH_BIND")
}

/// The same for an address that comes from the settings `port` and `bind`.
pub fn bind_for(
    address: SocketAddr,
    port: &'static str,
    bind: &'static str,
) -> Result<TcpListener, BindError> {
    let result = match open(address) {
        Err(error) if is_any_v6(address) && is_without_v6(&error) => {
            open(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()))
        }
        result => result,
    };
    result.map_err(|cause| BindError::Listen { address, cause, port, bind })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the last connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    if is_any_v6(address) {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn is_any_v6(address: SocketAddr) -> bool {
    address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
}

/// The kernel has no IPv6 at all, or it is switched off on every interface.
fn is_without_v6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let without = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| without.contains(&code))
}

#[cfg(test)]
mod tests {
    use crate::http::serve::listener::*;

    #[tokio::test]
    async fn every_interface_includes_ipv4() {
        let listener = bind("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error_that_names_the_setting() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = bind(first.local_addr().unwrap()).unwrap_err();
        assert!(error.to_string().contains("AUTH_PORT"), "{error}");
    }
}
