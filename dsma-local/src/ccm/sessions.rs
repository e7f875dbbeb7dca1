//! `/v1/sys`: log in, select an account, log out.

use axum::http::{HeaderValue, header};
use base64_simd::STANDARD;
use dsma_api::Time;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Ccm;
use super::authentication::COOKIE_NAME;
use super::call::Call;
use super::model::{Role, User};
use super::refusal::{Code, Refusal};
use crate::error::Error;
use crate::http::reply::Reply;
use crate::passwords;

/// `GET /v1/sys/version`.
pub(crate) fn version(_: &Call) -> Result<Reply, Refusal> {
    Reply::ok(&json!({ "version": concat!("dsma-local ", env!("CARGO_PKG_VERSION")) }))
}

/// `POST /v1/sys/auth`: opens a session for the e-mail address and password in `Authorization: Basic`.
///
/// It needs no `X-CSRF-Header`: what a page of somebody else's makes a browser send has no password in it.
pub(crate) fn auth(call: &Call) -> Result<Reply, Refusal> {
    #[derive(Default, Deserialize)]
    struct Request {
        oauth_auth_code: Option<Value>,
    }
    if call.json_or_default::<Request>()?.oauth_auth_code.is_some() {
        return Err(Refusal::new(Code::FeatureNotSupported, "Login by OAuth is not supported by this version: use address and password"));
    }
    let (email, password) = basic(call)?;
    let user = by_password(&call.ccm, &email.to_lowercase(), &password)?;
    // Whoever makes new ones clears away the old ones.
    call.ccm.sessions.sweep();
    let token = call.ccm.sessions.open(user.user_id)?;
    let info = session_info(call, user.user_id, None);
    tracing::info!("CCM: {} logged in", user.user_email);
    let cookie = format!("{COOKIE_NAME}={token}; Path=/; Secure; HttpOnly; SameSite=Strict");
    let cookie = HeaderValue::from_str(&cookie).map_err(|_| Refusal::new(Code::InternalServerError, "Internal error"))?;
    let reply: Reply = Reply::ok::<Refusal>(&json!({ "access_token": token, "session_info": info }))?;
    Ok(reply.with_header(header::SET_COOKIE, cookie))
}

/// `POST /v1/sys/auth/discover`: everybody has a password here. It does not tell who exists.
pub(crate) fn discover(call: &Call) -> Result<Reply, Refusal> {
    #[derive(Default, Deserialize)]
    struct Request {
        #[serde(rename = "user_email")]
        _user_email: Option<String>,
    }
    call.json_or_default::<Request>()?;
    Reply::ok(&json!({ "auth_methods": [{ "password": {} }] }))
}

/// `POST /v1/sys/session/refresh`: every call does what this one does.
pub(crate) fn refresh(call: &Call) -> Result<Reply, Refusal> {
    let login = call.login()?;
    Reply::ok(&json!({ "session_info": session_info(call, login.user.user_id, login.selected) }))
}

/// `POST /v1/sys/session/terminate`: the token is dead at once.
pub(crate) fn terminate(call: &Call) -> Result<Reply, Refusal> {
    call.ccm.sessions.terminate(&call.login()?.token);
    Ok(Reply::nothing())
}

/// `POST /v1/sys/session/select_account/{account-id}`.
pub(crate) fn select_account(call: &Call) -> Result<Reply, Refusal> {
    let (user_id, acct_id) = select(call)?;
    Reply::ok(&json!({ "session_info": session_info(call, user_id, Some(acct_id)) }))
}

/// `POST /v1/accounts/select_account/{account-id}`: the older path, which answers nothing.
pub(crate) fn select_account_before(call: &Call) -> Result<Reply, Refusal> {
    select(call)?;
    Ok(Reply::nothing())
}

fn select(call: &Call) -> Result<(Uuid, Uuid), Refusal> {
    let login = call.login()?;
    let account = call.member_of(&login.user, call.id()?, Role::Reader)?;
    call.ccm.sessions.select(&login.token, account.acct_id);
    Ok((login.user.user_id, account.acct_id))
}

fn session_info(call: &Call, user_id: Uuid, selected: Option<Uuid>) -> Value {
    let until = Time::now().0.saturating_add_unsigned(call.ccm.sessions.idle().as_secs());
    let mut info = json!({ "subject_id": user_id, "session_expires_at": until, "session_token_expires_at": until });
    if let Some(acct_id) = selected {
        info["selected_account_id"] = json!(acct_id);
    }
    info
}

/// E-mail address and password.
fn basic(call: &Call) -> Result<(String, Zeroizing<String>), Refusal> {
    let missing = || Refusal::new(Code::AuthFailed, "Address and password are expected, as Authorization: Basic");
    let (scheme, value) = call.header("authorization").and_then(|value| value.trim().split_once(' ')).ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(missing());
    }
    let decoded = Zeroizing::new(STANDARD.decode_to_vec(value.trim()).map_err(|_| missing())?);
    let text = std::str::from_utf8(&decoded).map_err(|_| missing())?;
    let (email, password) = text.split_once(':').ok_or_else(missing)?;
    Ok((email.to_owned(), Zeroizing::new(password.to_owned())))
}

/// One answer, and one hash, whichever of the two is wrong; 423 after too many of them.
fn by_password(ccm: &Ccm, email: &str, password: &str) -> Result<User, Refusal> {
    let user = ccm.throttle.check(email, || {
        let (user, hash) = ccm.store.records(|records| {
            let user = records.find::<User>(email)?;
            let hash = user.as_ref().map(|user| records.secret::<User>(user.user_id)).transpose()?.flatten();
            Ok::<_, Error>((user, hash))
        })?;
        let hash = hash.as_ref().and_then(|hash| std::str::from_utf8(hash).ok());
        let right = passwords::verify(password, hash)?;
        Ok::<_, Refusal>(user.filter(|_| right))
    })?;
    let wrong = || Refusal::new(Code::AuthFailed, "Wrong address or password");
    let user_id = user.ok_or_else(wrong)?.user_id;
    ccm.store.change_records(|records| {
        // Hashing takes a while: as the user is by now.
        let mut user = records.get::<User>(user_id)?.ok_or_else(wrong)?;
        user.last_logged_in_at = Some(Time::now().0);
        records.update(&user)?;
        Ok(user)
    })
}
