//! The address of a client and whether it used TLS.
//!
//! Any client can send `X-Forwarded-For` and `X-Forwarded-Proto`, so they count only as far as a trusted proxy wrote them.

use ipnet::IpNet;
use poem::http::HeaderMap;
use poem::{Endpoint, Request, Response, Result};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// The trusted proxies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies(Arc<[IpNet]>);

/// The sender of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Client {
    /// `None` when the connection has no address.
    pub(crate) address: Option<IpAddr>,
    /// Whether a trusted proxy reports that the client used TLS.
    pub(crate) behind_tls: bool,
}

impl Client {
    /// Returns the sender of a request.
    pub(crate) fn of(request: &Request) -> Self {
        request.data::<Self>().copied().unwrap_or_default()
    }
}

impl Proxies {
    pub(crate) fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    /// Returns whether this is the address of a trusted proxy.
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Client {
        let peer = peer.map(|peer| peer.to_canonical());
        let Some(proxy) = peer.filter(|peer| self.contain(*peer)) else {
            return Client {
                address: peer,
                behind_tls: false,
            };
        };

        let scheme = headers.get(FORWARDED_PROTO);
        let behind_tls = scheme.is_some_and(|scheme| scheme == "https");
        Client {
            address: Some(self.walk(proxy, headers)),
            behind_tls,
        }
    }

    /// Returns the first address from the right that is not a trusted proxy: its sender may have invented those before it.
    /// Each part is decoded by itself, so that invalid bytes of a client cannot hide what a trusted proxy added.
    fn walk(&self, proxy: IpAddr, headers: &HeaderMap) -> IpAddr {
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let parts = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));

        let mut client = proxy;
        for part in parts {
            let named = std::str::from_utf8(part).unwrap_or_default();
            let Some(address) = address(named.trim()) else {
                break;
            };
            client = address;
            if !self.contain(client) {
                break;
            }
        }
        client
    }
}

/// Parses an address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[');
    let inner = inner.and_then(|rest| rest.strip_suffix(']'));
    let address: Option<IpAddr> = inner.unwrap_or(text).parse().ok();
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    address
        .or_else(with_port)
        .map(|address| address.to_canonical())
}

/// Attaches the client to the request.
pub(crate) async fn attach<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    mut request: Request,
    proxies: Proxies,
) -> Result<Response> {
    let peer = request.remote_addr().as_socket_addr();
    let client = proxies.client(peer.map(SocketAddr::ip), request.headers());
    request.set_data(client);
    next.call(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(peer: &str, headers: &[(&'static str, &str)]) -> Client {
        let networks =
            ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network"));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a value"));
        }
        Proxies::new(&networks).client(Some(peer.parse().expect("an address")), &map)
    }

    #[test]
    fn client_is_the_rightmost_address_that_is_no_trusted_proxy() {
        for (peer, forwarded, expected) in [
            ("203.0.113.9", vec![], "203.0.113.9"),
            ("203.0.113.9", vec!["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("fd00::1", vec!["2001:db8::7"], "2001:db8::7"),
            (
                "10.0.0.1",
                vec!["1.1.1.1, 198.51.100.1, 10.0.0.2"],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                vec!["1.1.1.1", "198.51.100.1", "10.0.0.2"],
                "198.51.100.1",
            ),
            ("10.0.0.1", vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", vec!["1.1.1.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", vec!["\u{ff}, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", vec!["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", vec!["[2001:db8::7]"], "2001:db8::7"),
        ] {
            let headers: Vec<_> = forwarded
                .iter()
                .map(|value| (FORWARDED_FOR, *value))
                .collect();
            let expected: IpAddr = expected.parse().expect("an address");
            assert_eq!(
                client_of(peer, &headers).address,
                Some(expected),
                "{peer} {forwarded:?}"
            );
        }
    }

    #[test]
    fn trusts_the_forwarded_scheme_of_trusted_proxies_only() {
        let https = [(FORWARDED_PROTO, "https")];
        assert!(client_of("10.0.0.1", &https).behind_tls);
        assert!(!client_of("203.0.113.9", &https).behind_tls);
        assert!(!client_of("10.0.0.1", &[(FORWARDED_PROTO, "http")]).behind_tls);
        assert!(!client_of("10.0.0.1", &[]).behind_tls);
    }
}
