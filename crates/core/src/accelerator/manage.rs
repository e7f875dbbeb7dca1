//! Making, changing and deleting sobjects: DSM does it, the listing shows it at once, and the cache forgets what is out of date.
//!
//! A creation whose answer got lost is not sent again, unlike every other request: the second one would find its name taken by the first
//! and make another sobject beside it. The caller gets the error, and the next listing shows what was made.

use std::sync::Arc;

use dsma_api::{ApiError, ObjectType, SecretBlob, Sobject, SobjectRequest};
use uuid::Uuid;

use super::objects::Change;
use super::{Accelerator, EXPORT, INFO};
use crate::{Error, KeyRef};

/// How many names are tried for a sobject whose name is taken.
const MOST_NAMES: u32 = 8;

impl Accelerator {
    /// Makes a key in DSM. Names are unique there: one that is taken gets a suffix.
    ///
    /// # Errors
    /// DSM's refusal, or [`Error::Unreachable`].
    pub fn generate(&self, request: SobjectRequest) -> Result<Arc<Sobject>, Error> {
        self.add(request, |request| self.0.dsm.generate(request))
    }

    /// Imports a value into DSM; its name as in [`Accelerator::generate`].
    ///
    /// # Errors
    /// As [`Accelerator::generate`].
    pub fn import(&self, request: SobjectRequest) -> Result<Arc<Sobject>, Error> {
        self.add(request, |request| self.0.dsm.import(request))
    }

    /// A sobject as DSM has it now. It neither comes from the listing nor goes there.
    ///
    /// # Errors
    /// DSM's refusal, or [`Error::Unreachable`].
    pub fn sobject(&self, kid: Uuid) -> Result<Arc<Sobject>, Error> {
        let key = KeyRef::Kid(kid);
        let sobject = self.0.dsm.info(&key, self.0.config.retry_timeout)?;
        self.0.checked(INFO, &key, &sobject)?;
        Ok(self.with_listed_value(kid, sobject))
    }

    /// Changes a sobject.
    ///
    /// # Errors
    /// DSM's refusal, or [`Error::Unreachable`].
    pub fn update(&self, kid: Uuid, request: &SobjectRequest) -> Result<Arc<Sobject>, Error> {
        let sobject = self.0.dsm.update(kid, request)?;
        // The cached key carries the key operations.
        self.clear(Some(&[kid]));
        self.0.checked(&format!("crypto/v1/keys/{kid}"), &KeyRef::Kid(kid), &sobject)?;
        let sobject = self.with_listed_value(kid, sobject);
        self.note(Change::Kept(Arc::clone(&sobject)));
        Ok(sobject)
    }

    /// Deletes a sobject.
    ///
    /// # Errors
    /// DSM's refusal, or [`Error::Unreachable`].
    pub fn delete(&self, kid: Uuid) -> Result<(), Error> {
        let deleted = self.0.dsm.delete(kid);
        // Somebody else was faster, or the answer got lost and this is the second one.
        if matches!(&deleted, Ok(()) | Err(Error::Api(ApiError { status: 404, .. }))) {
            self.clear(Some(&[kid]));
            self.note(Change::Gone(kid));
        }
        deleted
    }

    /// The value of a sobject, exported for nobody but the caller: it does not enter the cache.
    ///
    /// # Errors
    /// DSM's refusal, or [`Error::Unreachable`]; [`Error::BadReply`] for a sobject without value.
    pub fn value(&self, kid: Uuid) -> Result<SecretBlob, Error> {
        self.export(kid)?.value.ok_or_else(|| self.0.dsm.bad_reply(EXPORT, "`value` is missing"))
    }

    /// DSM's answer has no value; the listing has those that are no secrets, and that never change.
    fn with_listed_value(&self, kid: Uuid, mut sobject: Sobject) -> Arc<Sobject> {
        let listed = self.cached_sobjects();
        let old = listed.as_ref().and_then(|listed| listed.sobjects.get(kid));
        sobject.value = old.and_then(|old| old.value.clone());
        Arc::new(sobject)
    }

    pub(super) fn add(
        &self,
        mut request: SobjectRequest,
        send: impl Fn(&SobjectRequest) -> Result<Sobject, Error>,
    ) -> Result<Arc<Sobject>, Error> {
        let name = request.name.clone().unwrap_or_default();
        let before = self.cached_sobjects();
        let mut tries = 0;
        let mut sobject = loop {
            match send(&request) {
                Err(Error::Api(refusal)) if refusal.status == 409 && tries < MOST_NAMES => {
                    tries += 1;
                    request.name = Some(format!("{name} {}", Uuid::new_v4().simple()));
                }
                answer => break answer?,
            }
        };
        self.0.checked_new(before.as_deref(), &request, &sobject)?;
        // As the listing has it: these values are no secrets.
        if matches!(sobject.obj_type, ObjectType::Opaque | ObjectType::Certificate) {
            sobject.value = request.value;
        }
        let sobject = Arc::new(sobject);
        self.note(Change::Kept(Arc::clone(&sobject)));
        Ok(sobject)
    }
}
