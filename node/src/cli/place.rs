//! Where dashboards are: one address, or a range of ports of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::args::Places;

/// Most of them at a time: for who looks each is a connection, and a row.
pub(super) const PEERS_MAX: usize = 64;

const FORM: &str = "IP:PORT as 127.0.0.1:7878, IP:FIRST-LAST for a range of ports, or a port of this machine";

/// `IP:PORT`, `IP:FIRST-LAST`, `localhost:PORT`, `PORT`, or what the dashboard's line says, `http://IP:PORT/`.
///
/// # Errors
/// What the word should be.
pub(crate) fn parse(text: &str) -> Result<Places, String> {
    let places = to_serve(text)?;
    if places.0.iter().any(|place| place.port() == 0) { Err(FORM.to_owned()) } else { Ok(places) }
}

/// The same for who serves: port 0 is a free one.
///
/// # Errors
/// What the word should be.
pub(crate) fn to_serve(text: &str) -> Result<Places, String> {
    let bare = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let (host, ports) = bare.rsplit_once(':').unwrap_or(("localhost", bare));
    let ip: IpAddr = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => IpAddr::V6(inner.parse().map_err(|_| FORM)?),
        None if host == "localhost" => Ipv4Addr::LOCALHOST.into(),
        None => IpAddr::V4(host.parse().map_err(|_| FORM)?),
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let port = |text: &str| text.parse::<u16>().map_err(|_| FORM);
    let (first, last) = (port(first)?, port(last)?);
    if first > last || (first == 0 && last > 0) || usize::from(last - first) >= PEERS_MAX {
        return Err(format!("from {first} to {last}: a range goes up, and over {PEERS_MAX} ports at most"));
    }
    Ok(Places((first..=last).map(|port| SocketAddr::new(ip, port)).collect()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        to_serve(text).unwrap().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_peer_is_named_as_it_names_itself() {
        assert_eq!(shown("127.0.0.1:7878"), ["127.0.0.1:7878"]);
        assert_eq!(shown("http://127.0.0.1:7878/"), ["127.0.0.1:7878"]);
        assert_eq!(shown("localhost:80"), shown("80"));
        assert_eq!(shown("[::1]:7878-7880"), ["[::1]:7878", "[::1]:7879", "[::1]:7880"]);
        for text in ["", "x", "127.0.0.1", "example.org:80", "127.0.0.1:9-8", "::1:80", "127.0.0.1:1-65535"] {
            assert!(to_serve(text).is_err(), "{text}");
        }
        assert!(parse("127.0.0.1:0").is_err(), "nobody listens at port 0");
        assert!(to_serve("127.0.0.1:0").is_ok() && to_serve("127.0.0.1:0-3").is_err(), "free ports have no order");
    }
}
