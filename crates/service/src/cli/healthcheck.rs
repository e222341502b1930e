//! Asks a running service on this machine how it is, for containers that have no other client.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

const TIMEOUT: Duration = Duration::from_secs(2);

/// Of an answer, no more than this is read.
const MAX_ANSWER: u64 = 16 * 1024;

/// `Ok` when `GET path` on the listener at `address` answers 200. The error says what happened instead.
/// An address that means all interfaces is asked on the loopback one.
pub fn healthcheck(address: SocketAddr, path: &str) -> Result<(), String> {
    let address = reachable(address);
    let answer = get(address, path).map_err(|error| {
        format!("http://{address}{path} cannot be asked: {error}; is the service running there?")
    })?;
    let (status, body) =
        parse(&answer).ok_or_else(|| format!("what answers at {address} does not speak HTTP"))?;
    if status == 200 {
        Ok(())
    } else {
        Err(format!("http://{address}{path} answers {status}: {}", body.trim()))
    }
}

fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback = match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        address.set_ip(loopback);
    }
    address
}

fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // One write, so that an answer which comes early cannot break the second one off.
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn parse(answer: &str) -> Option<(u16, &str)> {
    let status = answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Some((status, body))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn only_200_is_well() {
        let address = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        assert_eq!(
            healthcheck(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()), "/readyz"),
            Ok(())
        );
        let address = answering("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"status\":\"draining\"}");
        let reason = healthcheck(address, "/readyz").unwrap_err();
        assert!(reason.contains("503") && reason.contains("draining"), "{reason}");
        let reason = healthcheck(answering("SSH-2.0\r\n"), "/readyz").unwrap_err();
        assert!(reason.contains("does not speak HTTP"), "{reason}");
    }

    #[test]
    fn a_closed_port_says_where_it_was_looked_for() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let reason = healthcheck(free, "/readyz").unwrap_err();
        assert!(reason.contains(&free.to_string()), "{reason}");
    }
}
