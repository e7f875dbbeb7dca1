//! Sessions, apps, groups, accounts; and what is outside this product, which must be refused in words.

use std::collections::HashMap;

use sdkms::api_model::{
    AppCredential, AppGroups, AppPermissions, AppRequest, AppResetSecretRequest, AppSort, ExternalRoleRequest, GetAppParams, GroupRequest,
    ListAppsParams, Order, PluginRequest, SelectAccountRequest,
};
use sdkms::{Error, SdkmsClient};
use uuid::Uuid;

use crate::outcome::{Failure, Outcome, expect, present, refusal};
use crate::{Dsm, Scenario};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("version", version),
    ("authenticate_with_api_key, authenticate_app, refresh, expires_in, terminate", sessions),
    ("authenticate_with_cert: without a client certificate it is refused", certificate),
    ("select_account: with an app's session, as some clients do", select_account),
    ("create_, get_, update_, list_ and delete_group", groups),
    ("create_, get_, update_, list_ and delete_app, with and without permissions", apps),
    ("get_app_credential, reset_app_secret: the old secret is dead", credentials),
    ("an app may do what its permissions say, and no more", permissions),
    ("list_accounts, get_account", accounts),
    ("list_plugins: there are none; create_, get_, update_, invoke_ and delete_plugin: refused in words", plugins),
    ("list_, get_, create_, sync_, update_ and delete_external_role: outside this product, refused in words", external_roles),
];

fn version(dsm: &Dsm) -> Outcome {
    let reply = dsm.anybody()?.version()?;
    let numbers: Vec<&str> = reply.version.split('.').collect();
    let semver = numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok());
    expect(semver, format!("version {} is not x.y.z", reply.version))
}

fn sessions(dsm: &Dsm) -> Outcome {
    let mut session = dsm.anybody()?.authenticate_with_api_key(dsm.api_key())?;
    expect(session.has_session() && session.entity_id() == dsm.app.entity_id(), "another entity")?;
    session.refresh()?;
    expect(session.expires_in().is_some_and(|seconds| seconds > 0), "expires_in")?;
    session.terminate()?;
    let wrong = refusal(dsm.anybody()?.authenticate_app(&present(dsm.app.entity_id(), "entity_id")?, "wrong"))?;
    expect(matches!(wrong, Error::Unauthorized(_)), format!("{wrong:?}"))
}

fn certificate(dsm: &Dsm) -> Outcome {
    let refused = refusal(dsm.anybody()?.authenticate_with_cert(dsm.app.entity_id().as_ref()))?;
    expect(matches!(refused, Error::Unauthorized(_)), format!("{refused:?}"))
}

fn select_account(dsm: &Dsm) -> Outcome {
    let acct_id = first_group(dsm)?.acct_id;
    dsm.app.select_account(&SelectAccountRequest { acct_id })?;
    Ok(())
}

fn groups(dsm: &Dsm) -> Outcome {
    let request = GroupRequest { name: Some("groups".into()), description: Some("one".into()), approval_policy: None };
    let made = dsm.admin.create_group(&request)?;
    let change = GroupRequest { description: Some("two".into()), ..GroupRequest::default() };
    dsm.admin.update_group(&made.group_id, &change)?;
    expect(dsm.admin.get_group(&made.group_id)?.description.as_deref() == Some("two"), "not changed")?;
    expect(dsm.admin.list_groups()?.iter().any(|group| group.group_id == made.group_id), "not listed")?;
    dsm.admin.delete_group(&made.group_id)?;
    expect(matches!(refusal(dsm.admin.get_group(&made.group_id))?, Error::NotFound(_)), "still there")
}

fn apps(dsm: &Dsm) -> Outcome {
    let with = GetAppParams { group_permissions: true };
    let group = first_group(dsm)?.group_id;
    let id = make_app(dsm, "apps", AppPermissions::ENCRYPT | AppPermissions::MANAGE)?;
    let shown = dsm.admin.get_app(&id, Some(&with))?;
    expect(shown.groups.get(&group) == Some(&Some(AppPermissions::ENCRYPT | AppPermissions::MANAGE)), format!("{:?}", shown.groups))?;
    expect(dsm.admin.get_app(&id, None)?.groups.get(&group) == Some(&None), "groups without permissions")?;
    let mod_groups = Some(AppGroups::from(HashMap::from([(group, Some(AppPermissions::SIGN))])));
    let change = AppRequest { description: Some("changed".into()), mod_groups, ..AppRequest::default() };
    let changed = dsm.admin.update_app(&id, Some(&with), &change)?;
    expect(changed.groups.get(&group) == Some(&Some(AppPermissions::SIGN)), format!("{:?}", changed.groups))?;
    let sort = AppSort::ByAppId { order: Order::Ascending, start: None };
    let all = ListAppsParams { group_id: Some(group), limit: Some(100), offset: Some(0), sort, group_permissions: true };
    expect(dsm.admin.list_apps(Some(&all))?.iter().any(|app| app.app_id == id), "not listed")?;
    dsm.admin.delete_app(&id)?;
    expect(matches!(refusal(dsm.admin.get_app(&id, None))?, Error::NotFound(_)), "still there")
}

fn credentials(dsm: &Dsm) -> Outcome {
    let id = make_app(dsm, "credentials", AppPermissions::ENCRYPT)?;
    let before = secret(dsm, id)?;
    dsm.anybody()?.authenticate_app(&id, &before)?;
    dsm.admin.reset_app_secret(&id, None, &AppResetSecretRequest { secret_size: Some(32) })?;
    let after = secret(dsm, id)?;
    expect(matches!(refusal(dsm.anybody()?.authenticate_app(&id, &before))?, Error::Unauthorized(_)), "the old secret is good")?;
    dsm.anybody()?.authenticate_app(&id, &after).map(drop).map_err(Failure::from)
}

fn permissions(dsm: &Dsm) -> Outcome {
    use sdkms::api_model::{ObjectType, SobjectDescriptor};
    let id = make_app(dsm, "permissions", AppPermissions::VERIFY)?;
    let key = crate::keys::make(dsm, &crate::keys::request("permissions", ObjectType::Aes, Some(128)))?;
    let member = dsm.anybody()?.authenticate_app(&id, &secret(dsm, id)?)?;
    member.get_sobject(None, &SobjectDescriptor::Kid(key))?;
    let refused = refusal(member.export_sobject(&SobjectDescriptor::Kid(key)))?;
    expect(matches!(refused, Error::Forbidden(_)), format!("{refused:?}"))
}

fn accounts(dsm: &Dsm) -> Outcome {
    let all = dsm.admin.list_accounts(None)?;
    let first = all.first().ok_or_else(|| Failure::Wrong("no account".into()))?;
    expect(dsm.admin.get_account(&first.acct_id, None)?.name == first.name, "another account")
}

fn plugins(dsm: &Dsm) -> Outcome {
    expect(dsm.app.list_plugins(None)?.is_empty(), "a plugin")?;
    let (id, request) = (Uuid::nil(), PluginRequest::default());
    for refused in [
        refusal(dsm.app.create_plugin(&request))?,
        refusal(dsm.app.get_plugin(&id))?,
        refusal(dsm.app.update_plugin(&id, &request))?,
        refusal(dsm.app.invoke_plugin(&id, &serde_json::json!({})))?,
        refusal(dsm.app.delete_plugin(&id))?,
    ] {
        refused_in_words(&refused, "Plugins are outside")?;
    }
    Ok(())
}

fn external_roles(dsm: &Dsm) -> Outcome {
    let role = |name: &str| ExternalRoleRequest { name: Some(name.into()), ..ExternalRoleRequest::default() };
    let id = Uuid::nil();
    for refused in [
        refusal(dsm.admin.list_external_roles(None))?,
        refusal(dsm.admin.get_external_role(&id))?,
        refusal(dsm.admin.create_external_role(&role("readers")))?,
        refusal(dsm.admin.sync_external_role(&id))?,
        refusal(dsm.admin.update_external_role(&id, &role("writers")))?,
        refusal(dsm.admin.delete_external_role(&id))?,
    ] {
        refused_in_words(&refused, "LDAP")?;
    }
    Ok(())
}

/// A refusal of the service's own, whose text has these words.
pub(crate) fn refused_in_words(refused: &Error, words: &str) -> Outcome {
    let text = refused.to_string();
    expect(text.contains(words) && !matches!(refused, Error::EncoderError(_)), text)
}

/// An app with these permissions in the default group.
pub(crate) fn make_app(dsm: &Dsm, name: &str, permissions: AppPermissions) -> Result<Uuid, Failure> {
    let group = first_group(dsm)?.group_id;
    make_app_in(&dsm.admin, name, group, permissions)
}

/// An app with these permissions in a group.
pub(crate) fn make_app_in(admin: &SdkmsClient, name: &str, group: Uuid, permissions: AppPermissions) -> Result<Uuid, Failure> {
    let groups = AppGroups::from(HashMap::from([(group, Some(permissions))]));
    let request = AppRequest { name: Some(name.into()), add_groups: Some(groups), default_group: Some(group), ..AppRequest::default() };
    Ok(admin.create_app(None, &request)?.app_id)
}

/// An app's secret, asked for by the admin app.
pub(crate) fn secret(dsm: &Dsm, app: Uuid) -> Result<String, Failure> {
    match dsm.admin.get_app_credential(&app)?.credential {
        AppCredential::Secret(secret) => Ok(secret),
        other => Err(Failure::Wrong(format!("no secret but {other:?}"))),
    }
}

/// The default app is in one group, the default one.
fn first_group(dsm: &Dsm) -> Result<sdkms::api_model::Group, Failure> {
    dsm.app.list_groups()?.into_iter().next().ok_or_else(|| Failure::Wrong("the app sees no group".into()))
}
