//! Quorum approval: a group whose cryptographic operations two of two apps must allow.

use sdkms::api_model::{
    Algorithm, AppPermissions, ApprovalRequestRequest, ApprovalStatus, ApproveRequest, CipherMode, CryptMode, EncryptRequest, GroupRequest,
    KeyOperations, ListApprovalRequestsParams, ObjectType, SobjectDescriptor, SobjectRequest,
};
use sdkms::operations::Operation;
use sdkms::{Error, SdkmsClient};
use serde_json::{Value, json};
use simple_hyper_client::Method;
use uuid::Uuid;

use crate::authority::{make_app_in, secret};
use crate::outcome::{Failure, Outcome, expect, present, refusal};
use crate::{Dsm, Scenario, keys};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("request_approval_to_encrypt: 403, request, two approvals, result", approved),
    ("request_approval_to_export_sobject: status while pending, result after approval", exported),
    ("deny_request: the result is refused", denied),
    ("create_, list_, get_ and delete_approval_request", bookkeeping),
];

/// One who asks, two who may allow, and a key in their group.
struct Guarded {
    asking: SdkmsClient,
    reviewers: [SdkmsClient; 2],
    key: Uuid,
}

impl Guarded {
    fn new(dsm: &Dsm, name: &str) -> Result<Self, Failure> {
        let group = dsm.admin.create_group(&GroupRequest { name: Some(name.into()), ..GroupRequest::default() })?.group_id;
        let all = AppPermissions::ENCRYPT | AppPermissions::DECRYPT | AppPermissions::EXPORT | AppPermissions::MANAGE;
        let app = |role: &str| -> Result<(Uuid, SdkmsClient), Failure> {
            let id = make_app_in(&dsm.admin, &format!("{name} {role}"), group, all)?;
            Ok((id, dsm.anybody()?.authenticate_app(&id, &secret(dsm, id)?)?))
        };
        let ((_, asking), (first_id, first), (second_id, second)) = (app("asking")?, app("first")?, app("second")?);
        let ops = KeyOperations::ENCRYPT | KeyOperations::DECRYPT | KeyOperations::EXPORT;
        let spec = SobjectRequest { key_ops: Some(ops), group_id: Some(group), ..keys::request(name, ObjectType::Aes, Some(256)) };
        let key = present(asking.create_sobject(&spec)?.kid, "kid")?;
        let quorum = json!({"n": 2, "members": [{"app": first_id}, {"app": second_id}], "require_password": false, "require_2fa": false});
        let policy = json!({"approval_policy": {"quorum": quorum, "protect_crypto_operations": true}});
        dsm.admin.execute::<GuardGroup>(&policy, (&group,), None)?;
        Ok(Self { asking, reviewers: [first, second], key })
    }

    fn encrypt(&self) -> EncryptRequest {
        EncryptRequest {
            key: Some(SobjectDescriptor::Kid(self.key)),
            alg: Algorithm::Aes,
            plain: "text".into(),
            mode: Some(CryptMode::Symmetric(CipherMode::Cbc)),
            iv: None,
            ad: None,
            tag_len: None,
        }
    }

    fn approve(&self, request: &Uuid) -> Outcome {
        for reviewer in &self.reviewers {
            reviewer.approve_request(request, &ApproveRequest::default())?;
        }
        Ok(())
    }
}

/// `update_group` with a policy that the crate's own type cannot express: it lacks `protect_crypto_operations`.
struct GuardGroup;

impl Operation for GuardGroup {
    type PathParams = (Uuid,);
    type QueryParams = ();
    type Body = Value;
    type Output = Value;

    fn method() -> Method {
        Method::PATCH
    }

    fn path((group,): (&Uuid,), _: Option<&()>) -> String {
        format!("/sys/v1/groups/{group}")
    }
}

fn approved(dsm: &Dsm) -> Outcome {
    let guarded = Guarded::new(dsm, "approved")?;
    let refused = refusal(guarded.asking.encrypt(&guarded.encrypt()))?;
    expect(matches!(&refused, Error::Forbidden(text) if text == "This operation requires approval"), format!("{refused:?}"))?;
    let pending = guarded.asking.request_approval_to_encrypt(&guarded.encrypt(), Some("a test".into()))?;
    expect(pending.status(&guarded.asking)? == ApprovalStatus::Pending, "not pending")?;
    guarded.approve(&pending.request_id())?;
    expect(pending.status(&guarded.asking)? == ApprovalStatus::Approved, "not approved")?;
    let sealed = pending.result(&guarded.asking)??;
    expect(sealed.cipher.len() == 16, "no ciphertext")
}

fn exported(dsm: &Dsm) -> Outcome {
    let guarded = Guarded::new(dsm, "exported")?;
    let pending = guarded.asking.request_approval_to_export_sobject(&SobjectDescriptor::Kid(guarded.key), None)?;
    refusal(pending.result(&guarded.asking))?;
    guarded.approve(&pending.request_id())?;
    let key = pending.result(&guarded.asking)??;
    expect(key.value.is_some_and(|value| value.len() == 32), "no value")
}

fn denied(dsm: &Dsm) -> Outcome {
    let guarded = Guarded::new(dsm, "denied")?;
    let pending = guarded.asking.request_approval_to_encrypt(&guarded.encrypt(), None)?;
    guarded.reviewers[0].deny_request(&pending.request_id())?;
    expect(pending.status(&guarded.asking)? == ApprovalStatus::Denied, "not denied")?;
    refusal(pending.result(&guarded.asking)).map(drop)
}

fn bookkeeping(dsm: &Dsm) -> Outcome {
    let guarded = Guarded::new(dsm, "bookkeeping")?;
    let request = ApprovalRequestRequest {
        method: Some("POST".into()),
        operation: Some("/crypto/v1/encrypt".into()),
        body: Some(serde_json::to_value(guarded.encrypt()).map_err(Error::from)?),
        description: Some("by hand".into()),
    };
    let made = guarded.asking.create_approval_request(&request)?;
    let pending = ListApprovalRequestsParams { status: Some(ApprovalStatus::Pending), ..ListApprovalRequestsParams::default() };
    let listed = guarded.reviewers[1].list_approval_requests(Some(&pending))?;
    expect(listed.iter().any(|request| request.request_id == made.request_id), "a reviewer does not see it")?;
    expect(guarded.asking.get_approval_request(&made.request_id)?.description.as_deref() == Some("by hand"), "another request")?;
    guarded.asking.delete_approval_request(&made.request_id)?;
    expect(matches!(refusal(guarded.asking.get_approval_request(&made.request_id))?, Error::NotFound(_)), "still there")
}
