//! Security objects: making, finding, changing, exporting, rotating, ending.

use sdkms::api_model::{
    DigestAlgorithm, EllipticCurve, GetSobjectParams, KeyOperations, ListSobjectsParams, ObjectDigestRequest, ObjectType, Order,
    PersistTransientKeyRequest, RevocationReason, RevocationReasonCode, Sobject, SobjectDescriptor, SobjectEncoding, SobjectRequest,
    SobjectSort, SobjectState,
};
use sdkms::operations::Operation;
use simple_hyper_client::Method;
use uuid::Uuid;

use crate::outcome::{Failure, Outcome, expect, present, refusal};
use crate::{Dsm, Scenario};

pub(crate) const SCENARIOS: &[Scenario] = &[
    ("create_sobject: AES, DES3, HMAC, RSA, EC", create),
    ("create_sobject: secp256k1, Ed25519, X25519", create_curves),
    ("import_sobject: AES, SECRET, OPAQUE, and export_sobject gives the bytes back", import_and_export),
    ("get_sobject: by id and name, as JSON and as value", get),
    ("list_sobjects: all, a page, by name, sorted by name and id", list),
    ("list_sobjects: an account that has newer types, too, stays readable", list_beside_newer_types),
    ("update_sobject: name, description, metadata, enabled", update),
    ("activate_sobject, revoke_sobject: the states", states),
    ("remove_private: the public half stays", remove_private),
    ("digest_sobject: SHA-256 of an importable value", digest),
    ("persist_transient_key", persist),
    ("rotate_sobject: the name moves, links are set", rotate),
    ("delete_sobject, and errors: NotFound, Conflict, BadRequest, Unauthorized", delete_and_refusals),
];

/// A request for a key of this type and size.
pub(crate) fn request(name: &str, obj_type: ObjectType, key_size: Option<u32>) -> SobjectRequest {
    SobjectRequest { name: Some(name.to_owned()), obj_type: Some(obj_type), key_size, ..SobjectRequest::default() }
}

/// A key on a curve.
pub(crate) fn on_curve(name: &str, curve: EllipticCurve) -> SobjectRequest {
    SobjectRequest { elliptic_curve: Some(curve), ..request(name, ObjectType::Ec, None) }
}

/// Makes a key and returns its id.
pub(crate) fn make(dsm: &Dsm, request: &SobjectRequest) -> Result<Uuid, Failure> {
    present(dsm.app.create_sobject(request)?.kid, "kid")
}

pub(crate) fn kid(id: Uuid) -> Option<SobjectDescriptor> {
    Some(SobjectDescriptor::Kid(id))
}

fn create(dsm: &Dsm) -> Outcome {
    for (name, obj_type, size) in
        [("aes", ObjectType::Aes, 256), ("hmac", ObjectType::Hmac, 256), ("rsa", ObjectType::Rsa, 2048), ("des3", ObjectType::Des3, 168)]
    {
        let made = dsm.app.create_sobject(&request(&format!("create {name}"), obj_type, Some(size)))?;
        expect(made.obj_type == obj_type && made.key_size == Some(size), format!("{made:?}"))?;
        expect(made.pub_key.is_some() == (obj_type == ObjectType::Rsa), format!("pub_key of {name}"))?;
    }
    let made = dsm.app.create_sobject(&on_curve("create ec", EllipticCurve::NistP256))?;
    expect(made.elliptic_curve == Some(EllipticCurve::NistP256) && made.pub_key.is_some(), format!("{made:?}"))
}

fn create_curves(dsm: &Dsm) -> Outcome {
    for curve in [EllipticCurve::SecP256K1, EllipticCurve::Ed25519, EllipticCurve::X25519] {
        let made = dsm.app.create_sobject(&on_curve(&format!("create {curve:?}"), curve))?;
        expect(made.elliptic_curve == Some(curve), format!("{made:?}"))?;
        openssl::pkey::PKey::public_key_from_der(&present(made.pub_key, "pub_key")?)?;
    }
    Ok(())
}

fn import_and_export(dsm: &Dsm) -> Outcome {
    for (name, obj_type, value) in [
        ("aes", ObjectType::Aes, vec![7; 32]),
        ("secret", ObjectType::Secret, b"a secret".to_vec()),
        ("opaque", ObjectType::Opaque, vec![0, 255, 3]),
    ] {
        let request = SobjectRequest { value: Some(value.clone().into()), ..request(&format!("import {name}"), obj_type, None) };
        let made = dsm.app.import_sobject(&SobjectRequest { key_ops: Some(KeyOperations::EXPORT), ..request })?;
        let exported = dsm.app.export_sobject(&SobjectDescriptor::Name(format!("import {name}")))?;
        expect(exported.kid == made.kid && exported.value.as_deref() == Some(&value), format!("{name}: another value"))?;
    }
    Ok(())
}

fn get(dsm: &Dsm) -> Outcome {
    let id = make(dsm, &request("get", ObjectType::Aes, Some(128)))?;
    for descriptor in [SobjectDescriptor::Kid(id), SobjectDescriptor::Name("get".into())] {
        let json = GetSobjectParams { view: SobjectEncoding::Json };
        expect(dsm.app.get_sobject(Some(&json), &descriptor)?.kid == Some(id), "another key")?;
        expect(dsm.app.get_sobject(None, &descriptor)?.value.is_none(), "a value that nobody asked for")?;
    }
    Ok(())
}

/// The crate does not encode a query's values: names with a space fail in its own transport.
fn list(dsm: &Dsm) -> Outcome {
    for name in ["list-a", "list-b", "list-c"] {
        make(dsm, &request(name, ObjectType::Aes, Some(128)))?;
    }
    let all = dsm.app.list_sobjects(None)?;
    expect(all.len() >= 3, "too few")?;
    let named = ListSobjectsParams { name: Some("list-b".into()), ..ListSobjectsParams::default() };
    expect(names(&dsm.app.list_sobjects(Some(&named))?) == ["list-b"], "by name")?;
    let by_name = |order| ListSobjectsParams {
        sort: SobjectSort::ByName { order, start: Some("list-b".into()) },
        limit: Some(1),
        ..ListSobjectsParams::default()
    };
    expect(names(&dsm.app.list_sobjects(Some(&by_name(Order::Ascending)))?) == ["list-c"], "the name after")?;
    expect(names(&dsm.app.list_sobjects(Some(&by_name(Order::Descending)))?) == ["list-a"], "the name before")?;
    let page = |offset| ListSobjectsParams { limit: Some(2), offset: Some(offset), ..ListSobjectsParams::default() };
    let (first, second) = (dsm.app.list_sobjects(Some(&page(0)))?, dsm.app.list_sobjects(Some(&page(2)))?);
    expect(first.len() == 2 && second.iter().all(|key| !first.contains(key)), "pages that overlap")
}

/// Published listings fail as a whole over one name that this crate does not know.
fn list_beside_newer_types(dsm: &Dsm) -> Outcome {
    let newer = serde_json::json!({"name": "newer", "obj_type": "MLKEM", "mlkem": {"param_set": "MlKem768"}});
    dsm.app.execute::<CreateNewer>(&newer, (), None)?;
    dsm.app.list_sobjects(None).map(drop).map_err(Failure::from)
}

/// `create_sobject` with a request that the crate's own types cannot express.
struct CreateNewer;

impl Operation for CreateNewer {
    type PathParams = ();
    type QueryParams = ();
    type Body = serde_json::Value;
    type Output = serde_json::Value;

    fn method() -> Method {
        Method::POST
    }

    fn path((): (), _: Option<&()>) -> String {
        "/crypto/v1/keys".into()
    }
}

fn update(dsm: &Dsm) -> Outcome {
    let id = make(dsm, &request("update", ObjectType::Aes, Some(128)))?;
    let change = SobjectRequest {
        name: Some("updated ✓".into()),
        description: Some("changed".into()),
        enabled: Some(false),
        custom_metadata: Some([("a".to_owned(), "b".to_owned())].into()),
        ..SobjectRequest::default()
    };
    let changed = dsm.app.update_sobject(&id, &change)?;
    let as_asked = !changed.enabled && changed.name == change.name && changed.custom_metadata == change.custom_metadata;
    expect(as_asked && changed.description == change.description, format!("{changed:?}"))
}

fn states(dsm: &Dsm) -> Outcome {
    let future = sdkms::api_model::Time(4_000_000_000);
    let request = SobjectRequest { activation_date: Some(future), ..request("states", ObjectType::Aes, Some(128)) };
    let made = dsm.app.create_sobject(&request)?;
    expect(made.state == Some(SobjectState::PreActive), format!("{:?}", made.state))?;
    let id = present(made.kid, "kid")?;
    dsm.app.activate_sobject(&id)?;
    expect(state(dsm, id)? == Some(SobjectState::Active), "not active")?;
    let reason =
        RevocationReason { code: RevocationReasonCode::KeyCompromise, message: Some("lost".into()), compromise_occurance_date: None };
    dsm.app.revoke_sobject(&id, &reason)?;
    expect(state(dsm, id)? == Some(SobjectState::Compromised), "not compromised")
}

fn state(dsm: &Dsm, id: Uuid) -> Result<Option<SobjectState>, Failure> {
    Ok(dsm.app.get_sobject(None, &SobjectDescriptor::Kid(id))?.state)
}

fn remove_private(dsm: &Dsm) -> Outcome {
    let id = make(dsm, &on_curve("remove private", EllipticCurve::NistP256))?;
    dsm.app.remove_private(&id)?;
    let left = dsm.app.get_sobject(None, &SobjectDescriptor::Kid(id))?;
    expect(left.public_only && left.pub_key.is_some(), format!("{left:?}"))
}

fn digest(dsm: &Dsm) -> Outcome {
    let request = SobjectRequest { value: Some(vec![7; 32].into()), ..request("digest", ObjectType::Aes, None) };
    let id = present(dsm.app.import_sobject(&request)?.kid, "kid")?;
    let reply = dsm.app.digest_sobject(&ObjectDigestRequest { key: SobjectDescriptor::Kid(id), alg: DigestAlgorithm::Sha256 })?;
    expect(reply.digest[..] == openssl::sha::sha256(&[7; 32]), "another digest")
}

fn persist(dsm: &Dsm) -> Outcome {
    let request = SobjectRequest { transient: Some(true), ..request("transient", ObjectType::Aes, Some(256)) };
    let transient = present(dsm.app.create_sobject(&request)?.transient_key, "transient_key")?;
    let request = PersistTransientKeyRequest {
        activation_date: None,
        deactivation_date: None,
        name: "persisted".into(),
        description: None,
        custom_metadata: None,
        enabled: None,
        group_id: None,
        state: None,
        transient_key: transient,
    };
    let made = dsm.app.persist_transient_key(&request)?;
    expect(made.kid.is_some() && made.name.as_deref() == Some("persisted"), format!("{made:?}"))
}

fn rotate(dsm: &Dsm) -> Outcome {
    let old = make(dsm, &request("rotate", ObjectType::Aes, Some(256)))?;
    let new = dsm.app.rotate_sobject(&request("rotate", ObjectType::Aes, Some(256)))?;
    let before = dsm.app.get_sobject(None, &SobjectDescriptor::Kid(old))?;
    expect(new.name.as_deref() == Some("rotate") && before.name.as_deref() != Some("rotate"), "the name did not move")?;
    expect(new.links.and_then(|links| links.replaced) == Some(old), "the new key does not name the old one")?;
    expect(before.links.and_then(|links| links.replacement) == new.kid, "the old key does not name the new one")
}

fn delete_and_refusals(dsm: &Dsm) -> Outcome {
    use sdkms::Error;
    let spec = request("delete", ObjectType::Aes, Some(128));
    let id = make(dsm, &spec)?;
    let again = refusal(dsm.app.create_sobject(&spec))?;
    expect(matches!(again, Error::Conflict(_)), format!("{again:?}"))?;
    dsm.app.delete_sobject(&id)?;
    let gone = refusal(dsm.app.get_sobject(None, &SobjectDescriptor::Kid(id)))?;
    expect(matches!(gone, Error::NotFound(_)), format!("{gone:?}"))?;
    let odd = refusal(dsm.app.create_sobject(&request("odd", ObjectType::Aes, Some(17))))?;
    expect(matches!(odd, Error::BadRequest(_)), format!("{odd:?}"))?;
    let nobody = refusal(dsm.anybody()?.list_sobjects(None))?;
    expect(matches!(nobody, Error::Unauthorized(_)), format!("{nobody:?}"))
}

fn names(keys: &[Sobject]) -> Vec<&str> {
    keys.iter().filter_map(|key| key.name.as_deref()).collect()
}
