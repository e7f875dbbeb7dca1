//! The TLS key and its certificates as DSM keeps them.
//!
//! A certificate is a sobject of type CERTIFICATE in our app's default group, whose link `parent` names the TLS key; DSM lists its kid
//! in the key's `links.subkeys`. A chain is imported root first and leaf last, each already linked, so that it is either whole or has no
//! leaf, and a chain without a leaf is never picked. What came before it is unlinked and stays in the group.
//!
//! Everything here blocks, and is done in our own session.

use std::collections::BTreeSet;
use std::sync::Arc;

use dsma_api::{KeyLinks, ObjectType, SecretBlob, Sobject, SobjectRequest};
use dsma_core::{Accelerator, Error};
use rustls_pki_types::CertificateDer;
use uuid::Uuid;

/// More subkeys than this are not looked at.
const MAX_SUBKEYS: usize = 64;

/// The TLS key with its private half. Under a quorum policy that names us, the engine approves.
pub(super) fn export(accelerator: &Accelerator, kid: Uuid) -> Result<Sobject, Error> {
    accelerator.export(kid)
}

/// The certificates linked to `key`, newest first. Other subkeys are none of ours.
pub(super) fn certificates(accelerator: &Accelerator, key: &Sobject) -> Result<Vec<CertificateDer<'static>>, Error> {
    let mut found = Vec::new();
    for kid in subkeys(key).take(MAX_SUBKEYS) {
        match show(accelerator, kid) {
            Ok(Sobject { obj_type: ObjectType::Certificate, value: Some(value), created_at, .. }) => {
                found.push((created_at, CertificateDer::from(value.0.to_vec())));
            }
            Ok(_) => {}
            // Deleted since, or in a group that we do not see.
            Err(Error::Api(refusal)) if matches!(refusal.status, 403 | 404) => {}
            Err(error) => return Err(error),
        }
    }
    // DSM adds at the end, and its time has no fractions: the later of two of the same second comes first.
    found.reverse();
    found.sort_by_key(|(created_at, _)| std::cmp::Reverse(*created_at));
    Ok(found.into_iter().map(|(_, der)| der).collect())
}

/// Imports a chain that was checked and links it to the key `parent`. Gives the kids, leaf first.
///
/// # Errors
/// DSM's refusal, or its silence. What was imported before it is deleted again; the log names what could not be.
pub(super) fn import(accelerator: &Accelerator, parent: Uuid, chain: &[CertificateDer<'_>]) -> Result<Vec<Uuid>, Error> {
    // Ours alone: it finds what was imported even where DSM's answer got lost.
    let upload = format!("tls-{parent}-{}", Uuid::new_v4().simple());
    let mut kids = Vec::new();
    for (at, der) in chain.iter().enumerate().rev() {
        let role = match at {
            0 => "leaf",
            at if at + 1 == chain.len() => "root",
            _ => "intermediate",
        };
        let request = SobjectRequest {
            name: Some(format!("{upload}-{at}")),
            description: Some(format!("TLS certificate of the service, {role}")),
            obj_type: Some(ObjectType::Certificate),
            value: Some(SecretBlob::from(der.as_ref())),
            links: Some(KeyLinks { parent: Some(parent), ..KeyLinks::default() }),
            ..SobjectRequest::default()
        };
        let made = accelerator.dsm().request_json::<Sobject>("PUT", "/crypto/v1/keys", Some(&request));
        match made.and_then(|sobject| sobject.kid.ok_or_else(|| no_kid(accelerator))) {
            Ok(kid) => kids.push(kid),
            Err(error) => {
                take_back(accelerator, parent, &upload);
                return Err(error);
            }
        }
    }
    kids.reverse();
    Ok(kids)
}

/// The kids that the key links to at the moment.
pub(super) fn linked(accelerator: &Accelerator, key: Uuid) -> Result<BTreeSet<Uuid>, Error> {
    Ok(subkeys(&show(accelerator, key)?).collect())
}

/// Takes superseded certificates off the key. A failure is logged: the newer chain is picked all the same.
pub(super) fn unlink(accelerator: &Accelerator, kids: impl Iterator<Item = Uuid>) {
    let request = SobjectRequest { links: Some(KeyLinks::default()), ..SobjectRequest::default() };
    for kid in kids {
        let ours = show(accelerator, kid).map(|sobject| sobject.obj_type == ObjectType::Certificate);
        let done = match ours {
            Ok(true) => accelerator.dsm().request_json::<Sobject>("PATCH", &path(kid), Some(&request)).map(drop),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::warn!(target: "dsma::server", "the superseded certificate {kid} stays linked to the TLS key: {error}");
        }
    }
}

fn no_kid(accelerator: &Accelerator) -> Error {
    Error::BadReply { endpoint: Arc::clone(accelerator.dsm().endpoint()), reason: "an imported certificate without kid".into() }
}

fn take_back(accelerator: &Accelerator, parent: Uuid, upload: &str) {
    let undo = || {
        for kid in linked(accelerator, parent)? {
            let name = show(accelerator, kid)?.name;
            if name.is_some_and(|name| name.starts_with(upload)) {
                accelerator.dsm().request_json::<Option<Sobject>>("DELETE", &path(kid), None::<&()>)?;
            }
        }
        Ok::<_, Error>(())
    };
    if let Err(error) = undo() {
        tracing::error!(target: "dsma::server", "sobjects whose name begins with {upload} may be left from an upload that failed, delete them: {error}");
    }
}

fn subkeys(key: &Sobject) -> impl Iterator<Item = Uuid> {
    key.links.iter().flat_map(|links| links.subkeys.iter().copied())
}

fn show(accelerator: &Accelerator, kid: Uuid) -> Result<Sobject, Error> {
    accelerator.dsm().request_json("GET", &path(kid), None::<&()>)
}

fn path(kid: Uuid) -> String {
    format!("/crypto/v1/keys/{kid}")
}
