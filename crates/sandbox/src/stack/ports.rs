//! Addresses for processes that are about to start.

use std::net::{IpAddr, SocketAddr, TcpListener};

use super::StackError;

/// Below the range from which the system takes ports for outgoing connections: between our look and the other
/// process's bind nobody else is given one of these.
const FREE: std::ops::Range<u16> = 12_000..32_000;
const TRIES: usize = 200;

/// The address itself, or one with a free port where the port is 0.
pub(super) fn choose(
    name: &'static str,
    wanted: SocketAddr,
    flag: &'static str,
) -> Result<SocketAddr, StackError> {
    if wanted.port() != 0 {
        return match TcpListener::bind(wanted) {
            Ok(_) => Ok(wanted),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                Err(StackError::PortTaken { name, address: wanted, flag })
            }
            Err(source) => Err(StackError::Io { what: format!("listen on {wanted} for the {name}"), source }),
        };
    }
    free(wanted.ip()).ok_or(StackError::NoFreePort(wanted.ip()))
}

pub(crate) fn free(ip: IpAddr) -> Option<SocketAddr> {
    (0..TRIES)
        .map(|_| SocketAddr::new(ip, rand::random_range(FREE)))
        .find(|address| TcpListener::bind(address).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_the_flag_that_changes_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = choose("router", address, "--router-listen").unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("--router-listen"), "{error}");
        let free = choose("router", SocketAddr::from(([127, 0, 0, 1], 0)), "--router-listen").unwrap();
        assert!(FREE.contains(&free.port()));
    }
}
