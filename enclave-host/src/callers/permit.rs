//! A question put to DSM each time and never answered from memory: may this app use that key?
//!
//! For what happens seldom and counts much, such as the service's own TLS key.

use dsma_api::{ApiError, KeyFacts, Operation, Sobject, SobjectDescriptor, Time, authorize, text};
use http::Method;
use hyper::body::Bytes;
use uuid::Uuid;
use zeroize::Zeroize;

use super::caller::Rights;
use super::{Callers, Credential, Withheld, parse_session};
use crate::upstream::{Answer, Unreachable};

/// Why not.
pub(crate) enum Denied {
    /// DSM refuses, in these words.
    Refused(ApiError),
    /// DSM does not answer.
    Unreachable(Unreachable),
}

impl From<Unreachable> for Denied {
    fn from(error: Unreachable) -> Self {
        Self::Unreachable(error)
    }
}

impl From<ApiError> for Denied {
    fn from(refusal: ApiError) -> Self {
        Self::Refused(refusal)
    }
}

impl Callers {
    /// Whether the app with this API key may perform `operation` on the sobject `kid`.
    ///
    /// # Errors
    /// DSM's refusal of the credential, of the sobject, or of the operation. One who is no app, such as a user, is refused.
    pub(crate) async fn permit(&self, credential: &Credential, kid: Uuid, operation: Operation) -> Result<(), Denied> {
        let _place = self.upstream.place()?;
        let answer = self.upstream.ask(Method::POST, "/sys/v1/session/auth", credential, None).await?;
        let mut session = parse_session(&success(answer)?).ok_or_else(unknown)?;
        let outcome = match self.hasher.bearer(&session.access_token) {
            Some(bearer) => self.decide(session.entity_id, &bearer, kid, operation).await,
            None => Err(unknown().into()),
        };
        self.close(&session.access_token);
        session.access_token.zeroize();
        outcome
    }

    async fn decide(&self, app: Uuid, bearer: &Credential, kid: Uuid, operation: Operation) -> Result<(), Denied> {
        let rights = match self.rights(app, bearer).await {
            Ok(rights) => rights,
            Err(Withheld::Unreachable(error)) => return Err(error.into()),
            Err(Withheld::Untold | Withheld::Refused) => return Err(unknown().into()),
        };
        let body = serde_json::to_vec(&SobjectDescriptor::Kid(kid)).map_err(|_| unknown())?;
        let answer = self.upstream.ask(Method::POST, "/crypto/v1/keys/info", bearer, Some(Bytes::from(body))).await?;
        let sobject: Sobject = serde_json::from_slice(&success(answer)?.body).map_err(|_| unknown())?;
        if sobject.kid != Some(kid) {
            return Err(unknown().into());
        }
        let Rights::Told(by_group) = rights else { return Err(unknown().into()) };
        let held = sobject.group_id.and_then(|group| by_group.get(&group).copied());
        Ok(authorize(operation, held, &KeyFacts::from(&sobject), Time::now())?)
    }
}

fn success(answer: Answer) -> Result<Answer, ApiError> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    Err(ApiError::new(answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned()))
}

/// DSM does not tell what this caller may do.
fn unknown() -> ApiError {
    ApiError::forbidden(text::NO_PERMISSION)
}
