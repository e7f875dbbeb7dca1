//! Links between sobjects. A client names a `parent`; DSM keeps the parent's list of subkeys, and the links of copies and rotations.

use dsma_api::{Act, ApiError, KeyFacts, KeyLinks, Operation, Permission, SobjectDescriptor, Time, authorize, text};
use uuid::Uuid;

use super::access::no_sobject;
use crate::dsm::authentication::Caller;
use crate::store::{SobjectRow, Sobjects};

/// A chain of parents is at most this long.
const MAX_DEPTH: usize = 16;

/// The parent that a request names. The other links are DSM's own: they may be sent as they are, but not changed.
pub(super) fn parent(asked: Option<KeyLinks>, current: Option<&KeyLinks>) -> Result<Option<Uuid>, ApiError> {
    let Some(asked) = asked else {
        return Ok(None);
    };
    let none = KeyLinks::default();
    let parent = asked.parent;
    let others = KeyLinks { parent: None, ..asked };
    let own = KeyLinks { parent: None, ..current.unwrap_or(&none).clone() };
    if others != none && others != own {
        return Err(ApiError::bad_request("Only the link `parent` can be set"));
    }
    Ok(parent)
}

/// Makes `row` a subkey of `parent`, or of nobody, and tells both parents. The caller writes `row`.
pub(super) fn set_parent(sobjects: &Sobjects<'_>, caller: &Caller, row: &mut SobjectRow, parent: Option<Uuid>) -> Result<(), ApiError> {
    let links = row.sobject.links.get_or_insert_default();
    if links.parent == parent {
        tidy(row);
        return Ok(());
    }
    let old = std::mem::replace(&mut links.parent, parent);
    tidy(row);
    if let Some(old) = old {
        edit(sobjects, old, |links| links.subkeys.retain(|kid| *kid != row.kid))?;
    }
    if let Some(parent) = parent {
        let found = sobjects.find(&SobjectDescriptor::Kid(parent))?.ok_or_else(no_sobject)?;
        authorize(Operation::Info, caller.permissions(found.group_id), &KeyFacts::from(&found.sobject), Time::now())?;
        // Its list of subkeys changes: clients take the certificates of a key from there.
        let held = caller.permissions(found.group_id).unwrap_or_default();
        if !held.contains(Permission::Manage) && !held.contains(Permission::UpdateSobjectsProfile) {
            return Err(ApiError::forbidden(text::NO_PERMISSION));
        }
        caller.gate.pass(found.group_id, Act::Change(Permission::UpdateSobjectsProfile))?;
        no_circle(sobjects, row.kid, found)?;
        edit(sobjects, parent, |links| links.subkeys.push(row.kid))?;
    }
    Ok(())
}

/// Takes a sobject that is about to be deleted out of the links of others.
pub(super) fn forget(sobjects: &Sobjects<'_>, row: &SobjectRow) -> Result<(), ApiError> {
    let Some(links) = &row.sobject.links else {
        return Ok(());
    };
    let kid = row.kid;
    let related = [links.parent, links.copied_from, links.replaced, links.replacement];
    for other in related.into_iter().flatten().chain(links.subkeys.iter().copied()).chain(links.copied_to.iter().copied()) {
        edit(sobjects, other, |links| {
            links.subkeys.retain(|subkey| *subkey != kid);
            links.copied_to.retain(|copy| *copy != kid);
            for link in [&mut links.parent, &mut links.copied_from, &mut links.replaced, &mut links.replacement] {
                link.take_if(|link| *link == kid);
            }
        })?;
    }
    Ok(())
}

/// Changes the links of another sobject, where it still is there.
pub(super) fn edit(sobjects: &Sobjects<'_>, kid: Uuid, change: impl FnOnce(&mut KeyLinks)) -> Result<(), ApiError> {
    let Some(mut row) = sobjects.find(&SobjectDescriptor::Kid(kid))? else {
        return Ok(());
    };
    change(row.sobject.links.get_or_insert_default());
    tidy(&mut row);
    sobjects.replace(&row)?;
    Ok(())
}

/// No links at all are written as none.
fn tidy(row: &mut SobjectRow) {
    row.sobject.links.take_if(|links| *links == KeyLinks::default());
}

fn no_circle(sobjects: &Sobjects<'_>, child: Uuid, parent: SobjectRow) -> Result<(), ApiError> {
    let refused = || ApiError::bad_request("Invalid parent: links would go in a circle, or too deep");
    let mut at = Some(parent);
    for _ in 0..MAX_DEPTH {
        let Some(row) = at else {
            return Ok(());
        };
        if row.kid == child {
            return Err(refused());
        }
        let above = row.sobject.links.as_ref().and_then(|links| links.parent);
        at = above.map(|kid| sobjects.find(&SobjectDescriptor::Kid(kid))).transpose()?.flatten();
    }
    Err(refused())
}
