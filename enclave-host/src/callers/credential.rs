//! What a caller presents, and the name under which we remember it: a keyed hash, never the credential itself.

use aws_lc_rs::hmac;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

/// HMAC-SHA-256 of a credential under a key that lives as long as the process. Useless to whoever reads a memory image later.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CredentialId([u8; 32]);

impl CredentialId {
    /// Some bits of it, evenly spread.
    pub(super) const fn shard_bits(&self) -> u8 {
        self.0[0]
    }
}

/// How it is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// An API key, or a user's name and password.
    Basic,
    /// A session's token.
    Bearer,
}

/// A credential for the length of one request.
#[derive(Clone)]
pub(crate) struct Credential {
    scheme: Scheme,
    header: HeaderValue,
    id: CredentialId,
}

impl Credential {
    pub(crate) const fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub(crate) const fn id(&self) -> CredentialId {
        self.id
    }

    /// The `Authorization` header, as presented.
    pub(crate) const fn header(&self) -> &HeaderValue {
        &self.header
    }
}

/// Makes credentials' ids.
pub(super) struct Hasher(hmac::Key);

impl Hasher {
    /// With a random key. `None` where the system gives no randomness.
    pub(super) fn new() -> Option<Self> {
        let mut key = Zeroizing::new([0_u8; 32]);
        dsma_crypto::random::fill(&mut *key).ok()?;
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, &*key)))
    }

    /// The one credential of a request. `None` where there is none, several, or another scheme: DSM will say so itself.
    pub(super) fn read(&self, headers: &HeaderMap) -> Option<Credential> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (value, None) = (values.next()?, values.next()) else { return None };
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        let scheme = match scheme {
            name if name.eq_ignore_ascii_case("Basic") => Scheme::Basic,
            name if name.eq_ignore_ascii_case("Bearer") => Scheme::Bearer,
            _ => return None,
        };
        let token = token.trim();
        (!token.is_empty()).then(|| Credential { scheme, header: sensitive(value.clone()), id: self.id(scheme, token) })
    }

    /// The credential of a session that DSM has just opened.
    pub(super) fn bearer(&self, token: &str) -> Option<Credential> {
        let text = Zeroizing::new(format!("Bearer {token}"));
        let header = sensitive(HeaderValue::from_str(&text).ok()?);
        Some(Credential { scheme: Scheme::Bearer, header, id: self.id(Scheme::Bearer, token) })
    }

    fn id(&self, scheme: Scheme, token: &str) -> CredentialId {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&[scheme as u8]);
        context.update(token.as_bytes());
        let mut id = [0; 32];
        id.copy_from_slice(context.sign().as_ref());
        CredentialId(id)
    }
}

/// Keeps it out of HTTP/2's header compression tables and out of debug output.
fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_credential_of_a_known_scheme() {
        let hasher = Hasher::new().unwrap();
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            hasher.read(&headers)
        };
        let basic = read(&["Basic abc="]).unwrap();
        assert_eq!(basic.scheme(), Scheme::Basic);
        assert!(basic.id() == read(&["basic  abc="]).unwrap().id());
        assert!(basic.id() != read(&["Bearer abc="]).unwrap().id());
        assert!(read(&["Bearer abc="]).unwrap().id() == hasher.bearer("abc=").unwrap().id());
        assert!(basic.id() != Hasher::new().unwrap().bearer("abc=").unwrap().id());
        for none in [&[][..], &["Basic "], &["Basic"], &["Digest abc"], &["Basic a", "Basic b"]] {
            assert!(read(none).is_none(), "{none:?}");
        }
    }

    #[test]
    fn debug_output_of_a_header_shows_nothing() {
        let hasher = Hasher::new().unwrap();
        assert!(!format!("{:?}", hasher.bearer("s3cret").unwrap().header()).contains("s3cret"));
    }
}
