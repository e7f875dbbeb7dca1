//! What DSM answers is held against what was asked: another key, another length or another IV is no answer, and goes no further.

use dsma_api::{Sobject, SobjectRequest};
use uuid::Uuid;

use super::Inner;
use super::objects::Snapshot;
use crate::{Error, KeyRef};

impl Inner {
    /// A reply that is about another key than the one asked for must not enter the cache under its name, and one that describes another
    /// key under the same kid neither: the material of a kid never changes, and the listing tells what it was.
    pub(super) fn checked(&self, path: &str, asked: &KeyRef, told: &Sobject) -> Result<Uuid, Error> {
        let kid = match (asked, told.kid) {
            (_, None) => return Err(self.dsm.bad_reply(path, "`kid` is missing")),
            (KeyRef::Kid(asked), Some(got)) if *asked != got => {
                return Err(self.dsm.bad_reply(path, "`kid` is another than was asked for"));
            }
            (KeyRef::Name(asked), _) if told.name.as_ref() != Some(asked) => {
                return Err(self.dsm.bad_reply(path, "`name` is another than was asked for"));
            }
            (_, Some(got)) => got,
        };
        let listing = self.objects.current();
        if let Some(listed) = listing.as_ref().and_then(|listing| listing.sobjects.get(kid)) {
            self.checked_same(path, listed, told)?;
        }
        Ok(kid)
    }

    /// Whether this is the key that was known before.
    pub(super) fn checked_same(&self, path: &str, known: &Sobject, told: &Sobject) -> Result<(), Error> {
        match difference(known, told) {
            Some(member) => Err(self.dsm.bad_reply(path, &format!("`{member}` is another than before"))),
            None => Ok(()),
        }
    }

    /// A sobject that was made as `request` says is none that was there before.
    pub(super) fn checked_new(&self, before: Option<&Snapshot>, request: &SobjectRequest, made: &Sobject) -> Result<(), Error> {
        let is_old = |kid| before.is_some_and(|before| before.sobjects.get(kid).is_some());
        let differs =
            |member: &str| Err(self.dsm.bad_reply("crypto/v1", &format!("`{member}` of a new sobject is another than was asked for")));
        match made.kid {
            None => Err(self.dsm.bad_reply("crypto/v1", "`kid` of a new sobject is missing")),
            Some(kid) if is_old(kid) => Err(self.dsm.bad_reply("crypto/v1", "`kid` of a new sobject is that of another")),
            // Unwrapped material is what it is: whoever asked judges it.
            Some(_) if request.obj_type.is_some_and(|wanted| wanted != made.obj_type) => differs("obj_type"),
            Some(_) if differ(request.key_size.as_ref(), made.key_size.as_ref()) => differs("key_size"),
            Some(_) if differ(request.elliptic_curve.as_ref(), made.elliptic_curve.as_ref()) => differs("elliptic_curve"),
            Some(_) => Ok(()),
        }
    }

    /// The key that DSM used is the one that was named, where it says which.
    pub(super) fn checked_use(&self, path: &str, asked: Uuid, used: Option<Uuid>) -> Result<(), Error> {
        if used.is_some_and(|used| used != asked) { Err(self.dsm.bad_reply(path, "`kid` is another than was asked for")) } else { Ok(()) }
    }

    /// `fits` says whether `member` has a length that it can have.
    pub(super) fn checked_len(&self, path: &str, member: &str, fits: bool) -> Result<(), Error> {
        if fits { Ok(()) } else { Err(self.dsm.bad_reply(path, &format!("`{member}` has a length that it cannot have"))) }
    }
}

/// The member by which two descriptions cannot be of one key.
fn difference(known: &Sobject, told: &Sobject) -> Option<&'static str> {
    let kcv = |sobject: &Sobject| sobject.kcv.as_ref().map(|kcv| kcv.to_ascii_uppercase());
    if known.obj_type != told.obj_type {
        Some("obj_type")
    } else if differ(known.key_size.as_ref(), told.key_size.as_ref()) {
        Some("key_size")
    } else if differ(known.elliptic_curve.as_ref(), told.elliptic_curve.as_ref()) {
        Some("elliptic_curve")
    } else if differ(known.pub_key.as_ref(), told.pub_key.as_ref()) {
        Some("pub_key")
    } else if differ(kcv(known).as_ref(), kcv(told).as_ref()) {
        Some("kcv")
    } else {
        None
    }
}

/// What only one side tells is no difference.
fn differ<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one != other)
}
