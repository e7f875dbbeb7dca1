//! `ip_address_policy` of an app: the addresses that it may call from.

use std::net::IpAddr;

use dsma_api::{ApiError, IpAddressPolicy};

/// Whether the policy can be read.
///
/// # Errors
/// 400 that names the entry which is neither an address nor a network in CIDR notation.
pub(super) fn check(policy: &IpAddressPolicy) -> Result<(), ApiError> {
    let IpAddressPolicy::Whitelist(entries) = policy else {
        return Ok(());
    };
    match entries.iter().find(|entry| network(entry).is_none()) {
        Some(entry) => Err(ApiError::bad_request(format!("Invalid ip_address_policy: `{entry}` is no address and no network (CIDR)"))),
        None => Ok(()),
    }
}

/// Whether the policy lets this peer call.
pub(super) fn allows(policy: &IpAddressPolicy, peer: IpAddr) -> bool {
    match policy {
        IpAddressPolicy::AllowAll => true,
        IpAddressPolicy::Whitelist(entries) => {
            entries.iter().filter_map(|entry| network(entry)).any(|(base, length)| holds(base, length, peer.to_canonical()))
        }
    }
}

/// Address and prefix length of `10.0.0.0/8`, `::1`.
fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (base, length) = match text.split_once('/') {
        Some((base, length)) => (base.parse().ok()?, length.parse().ok()?),
        None => (text.parse().ok()?, u32::MAX),
    };
    let bits = if IpAddr::is_ipv4(&base) { 32 } else { 128 };
    let length = if length == u32::MAX { bits } else { length };
    (length <= bits).then_some((base, length))
}

fn holds(base: IpAddr, length: u32, peer: IpAddr) -> bool {
    // A shift by the whole width is none in Rust: everything matches then.
    match (base, peer) {
        (IpAddr::V4(base), IpAddr::V4(peer)) => (base.to_bits() ^ peer.to_bits()).checked_shr(32 - length).unwrap_or(0) == 0,
        (IpAddr::V6(base), IpAddr::V6(peer)) => (base.to_bits() ^ peer.to_bits()).checked_shr(128 - length).unwrap_or(0) == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// entry, a peer that it holds, one that it does not.
    #[test]
    fn networks() {
        for (entry, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.6"),
            ("0.0.0.0/0", "1.2.3.4", "::1"),
            ("127.0.0.1/32", "127.0.0.1", "127.0.0.2"),
            ("::1", "::1", "::2"),
            ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
            ("::/0", "2001:db8::1", "1.2.3.4"),
        ] {
            let policy = IpAddressPolicy::Whitelist(vec![entry.into()]);
            assert!(check(&policy).is_ok() && allows(&policy, inside.parse().unwrap()), "{entry} {inside}");
            assert!(!allows(&policy, outside.parse().unwrap()), "{entry} {outside}");
        }
        for bad in ["", "localhost", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "1.2.3.4/"] {
            assert!(check(&IpAddressPolicy::Whitelist(vec![bad.into()])).is_err(), "{bad}");
        }
        assert!(!allows(&IpAddressPolicy::Whitelist(Vec::new()), "127.0.0.1".parse().unwrap()), "an empty list allows nobody");
    }
}
