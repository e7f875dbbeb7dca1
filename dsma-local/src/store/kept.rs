//! What clients keep for us: sealed values that are handed out and come back, so that nothing is stored.

use uuid::Uuid;
use zeroize::Zeroizing;

use super::Store;
use crate::error::Error;

impl Store {
    /// Seals `secret`, which is `kind` and concerns `owner`, for a client to keep.
    pub(crate) fn seal_for_client(&self, kind: &str, owner: Uuid, secret: &[u8]) -> Result<Vec<u8>, Error> {
        self.seal().close_for_client(kind, owner, secret)
    }

    /// What [`seal_for_client`](Self::seal_for_client) sealed for the same `kind` and `owner`; `None` for anything else.
    pub(crate) fn open_from_client(&self, kind: &str, owner: Uuid, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.seal().open_from_client(kind, owner, sealed).ok()
    }
}
