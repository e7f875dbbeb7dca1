//! People: signing up, accounts of their own, passwords, invitations.

use std::collections::HashMap;

use sdkms::SdkmsClient;
use sdkms::api_model::{
    AccountRequest, Config2faAuthRequest, CountParams, ForgotPasswordRequest, GroupRequest, PasswordChangeRequest, PasswordResetRequest,
    ProcessInviteRequest, RecoveryCodeAuthRequest, SelectAccountRequest, SignupRequest, U2fAuthRequest, UserAccountFlags, UserRequest,
};

use crate::authority::refused_in_words;
use crate::outcome::{Failure, Outcome, expect, present, refusal};
use crate::{Dsm, Scenario};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("signup_user, authenticate_user, create_account, select_account: the way to a first account", first_account),
    ("list_users, get_user, update_user, get_user_accounts", people),
    ("change_password: the old one is dead", password),
    ("invite_user, resend_invite, process_invite, delete_user_account", invitations),
    ("update_account, account_usage", account),
    ("delete_account: it is gone", account_deleted),
    ("delete_user: who is gone cannot log in", user_deleted),
    ("forgot_password, reset_password: outside this product, refused in words", forgotten),
    (
        "u2f_auth, recovery_code_auth, config_2fa_auth, config_2fa_terminate, u2f_new_challenge, generate_recovery_codes: refused in words",
        factors,
    ),
];

const PASSWORD: &str = "correct horse battery staple 1!";

/// A user with an account, and a session in it.
fn user(dsm: &Dsm, name: &str) -> Result<SdkmsClient, Failure> {
    let email = format!("{name}@example.com");
    let request = SignupRequest {
        user_email: email.clone(),
        user_password: PASSWORD.into(),
        recaptcha_response: Some(String::new()),
        first_name: None,
        last_name: None,
    };
    dsm.anybody()?.signup_user(&request)?;
    let session = dsm.anybody()?.authenticate_user(&email, PASSWORD)?;
    let account = session.create_account(&AccountRequest { name: Some(format!("{name}'s")), ..AccountRequest::default() })?;
    session.select_account(&SelectAccountRequest { acct_id: account.acct_id })?;
    Ok(session)
}

fn first_account(dsm: &Dsm) -> Outcome {
    let session = user(dsm, "first")?;
    session.create_group(&GroupRequest { name: Some("theirs".into()), ..GroupRequest::default() })?;
    expect(session.list_groups()?.len() == 1, "another account's groups are seen")
}

fn people(dsm: &Dsm) -> Outcome {
    let session = user(dsm, "people")?;
    let id = session.entity_id().ok_or_else(|| Failure::Wrong("no entity_id".into()))?;
    expect(session.list_users(None)?.iter().any(|user| user.user_id == id), "not listed")?;
    let change = UserRequest { first_name: Some("Ada".into()), ..UserRequest::default() };
    session.update_user(&id, &change)?;
    expect(session.get_user(&id)?.first_name.as_deref() == Some("Ada"), "not changed")?;
    let accounts: HashMap<_, _> = session.get_user_accounts()?;
    expect(accounts.values().any(|flags| flags.contains(UserAccountFlags::ACCOUNTADMINISTRATOR)), format!("{accounts:?}"))
}

fn password(dsm: &Dsm) -> Outcome {
    let session = user(dsm, "password")?;
    let another = "another staple, and 1 more!";
    session.change_password(&PasswordChangeRequest { current_password: PASSWORD.into(), new_password: another.into() })?;
    refusal(dsm.anybody()?.authenticate_user("password@example.com", PASSWORD))?;
    dsm.anybody()?.authenticate_user("password@example.com", another).map(drop).map_err(Failure::from)
}

fn invitations(dsm: &Dsm) -> Outcome {
    let (session, invited) = (user(dsm, "host")?, user(dsm, "guest")?);
    let role = UserAccountFlags::ACCOUNTMEMBER | UserAccountFlags::STATEENABLED;
    let request = UserRequest { user_email: Some("guest@example.com".into()), account_role: Some(role), ..UserRequest::default() };
    let guest = session.invite_user(&request)?;
    expect(guest.user_email.as_deref() == Some("guest@example.com"), format!("{guest:?}"))?;
    session.resend_invite(&guest.user_id)?;
    let account = session.list_accounts(None)?.first().map(|account| account.acct_id);
    invited.process_invite(&ProcessInviteRequest { accepts: Some(account.into_iter().collect()), rejects: None })?;
    expect(invited.get_user_accounts()?.len() == 2, "the invitation was accepted, and nothing came of it")?;
    refusal(session.resend_invite(&guest.user_id))?;
    session.delete_user_account(&guest.user_id)?;
    expect(session.list_users(None)?.iter().all(|user| user.user_id != guest.user_id), "still a member")
}

fn account(dsm: &Dsm) -> Outcome {
    let session = user(dsm, "usage")?;
    let id = present(session.list_accounts(None)?.first().map(|account| account.acct_id), "account")?;
    let change = AccountRequest { description: Some("for measure".into()), ..AccountRequest::default() };
    let changed = session.update_account(&id, &change)?;
    expect(changed.description.as_deref() == Some("for measure"), format!("{changed:?}"))?;
    let count = |params: Option<&CountParams>| session.account_usage(&id, params).map(|usage| usage.num_operations);
    let before = count(None)?;
    session.create_group(&GroupRequest { name: Some("counted".into()), ..GroupRequest::default() })?;
    expect(count(None)? > before, "an operation was not counted")?;
    let long_ago = CountParams { range_from: Some(0), range_to: Some(1) };
    expect(count(Some(&long_ago))? == 0, "operations of 1970")
}

fn account_deleted(dsm: &Dsm) -> Outcome {
    let session = user(dsm, "ending")?;
    let id = present(session.list_accounts(None)?.first().map(|account| account.acct_id), "account")?;
    session.delete_account(&id)?;
    let again = dsm.anybody()?.authenticate_user("ending@example.com", PASSWORD)?;
    expect(again.list_accounts(None)?.is_empty(), "still there")
}

fn user_deleted(dsm: &Dsm) -> Outcome {
    // Without an account: the last administrator of one cannot go.
    let email = "leaving@example.com";
    let request = SignupRequest {
        user_email: email.into(),
        user_password: PASSWORD.into(),
        recaptcha_response: Some(String::new()),
        first_name: None,
        last_name: None,
    };
    dsm.anybody()?.signup_user(&request)?;
    dsm.anybody()?.authenticate_user(email, PASSWORD)?.delete_user()?;
    refusal(dsm.anybody()?.authenticate_user(email, PASSWORD)).map(drop)
}

fn forgotten(dsm: &Dsm) -> Outcome {
    let forgot = ForgotPasswordRequest { user_email: "nobody@example.com".into() };
    refused_in_words(&refusal(dsm.anybody()?.forgot_password(&forgot))?, "mail")?;
    let reset = PasswordResetRequest { reset_token: "none".into(), new_password: PASSWORD.into() };
    refused_in_words(&refusal(dsm.anybody()?.reset_password(&uuid::Uuid::nil(), &reset))?, "mail")
}

fn factors(dsm: &Dsm) -> Outcome {
    let session = user(dsm, "factors")?;
    let u2f = U2fAuthRequest { key_handle: "a".into(), signature_data: "b".into(), client_data: "c".into() };
    for refused in [
        refusal(session.u2f_auth(&u2f))?,
        refusal(session.recovery_code_auth(&RecoveryCodeAuthRequest { recovery_code: "1".into() }))?,
        refusal(session.config_2fa_auth(&Config2faAuthRequest { password: PASSWORD.into() }))?,
        refusal(session.config_2fa_terminate())?,
        refusal(session.u2f_new_challenge())?,
        refusal(session.generate_recovery_codes())?,
    ] {
        refused_in_words(&refused, "Second factors")?;
    }
    Ok(())
}
