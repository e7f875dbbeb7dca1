//! People: signing up, accounts of their own, passwords, invitations.

use std::collections::HashMap;

use sdkms::SdkmsClient;
use sdkms::api_model::{
    AccountRequest, ForgotPasswordRequest, GroupRequest, PasswordChangeRequest, ProcessInviteRequest, SelectAccountRequest, SignupRequest,
    UserAccountFlags, UserRequest,
};

use crate::outcome::{Failure, Outcome, expect, refusal};
use crate::{Dsm, Scenario};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("signup_user, authenticate_user, create_account, select_account: the way to a first account", first_account),
    ("list_users, get_user, update_user, get_user_accounts", people),
    ("change_password: the old one is dead", password),
    ("invite_user, process_invite, delete_user_account", invitations),
    ("forgot_password: refused or accepted in words, never an error of the service", forgotten),
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
    let account = session.list_accounts(None)?.first().map(|account| account.acct_id);
    invited.process_invite(&ProcessInviteRequest { accepts: Some(account.into_iter().collect()), rejects: None })?;
    expect(invited.get_user_accounts()?.len() == 2, "the invitation was accepted, and nothing came of it")?;
    session.delete_user_account(&guest.user_id)?;
    expect(session.list_users(None)?.iter().all(|user| user.user_id != guest.user_id), "still a member")
}

fn forgotten(dsm: &Dsm) -> Outcome {
    match dsm.anybody()?.forgot_password(&ForgotPasswordRequest { user_email: "nobody@example.com".into() }) {
        Err(sdkms::Error::StatusCode(text)) if text.starts_with('5') => Err(Failure::Wrong(text)),
        Err(missing @ sdkms::Error::NotFound(_)) => Err(Failure::Client(missing)),
        _ => Ok(()),
    }
}
