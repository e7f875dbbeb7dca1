//! The published OpenAPI: which operations there are, and what their answers look like.
//!
//! Nulls count as absent, as they do for DSM's clients, so `nullable` needs no attention.

use std::cell::OnceCell;

use base64_simd::STANDARD;
use dsma_testkit::Reply;
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};
use uuid::Uuid;

/// Made from the published document by `interop/openapi/reduce.py`.
const PUBLISHED: &str = include_str!("../../../interop/openapi/dsm.json");

/// Operations in the spelling of older clients, which the document lacks, each with the operation whose answer it gives.
const LEGACY: &[(&str, &str, &str, &str)] = &[
    ("GET", "/crypto/v1/keys/{key_id}", "POST", "/crypto/v1/keys/info"),
    ("GET", "/crypto/v1/keys/{key_id}/export", "POST", "/crypto/v1/keys/export"),
    ("POST", "/crypto/v1/keys/{key_id}/encrypt", "POST", "/crypto/v1/encrypt"),
    ("POST", "/crypto/v1/keys/{key_id}/decrypt", "POST", "/crypto/v1/decrypt"),
    ("POST", "/crypto/v1/keys/{key_id}/sign", "POST", "/crypto/v1/sign"),
    ("POST", "/crypto/v1/keys/{key_id}/verify", "POST", "/crypto/v1/verify"),
    ("POST", "/crypto/v1/keys/{key_id}/mac", "POST", "/crypto/v1/mac"),
    ("POST", "/crypto/v1/keys/{key_id}/macverify", "POST", "/crypto/v1/macverify"),
    ("POST", "/crypto/v1/keys/{key_id}/wrapkey", "POST", "/crypto/v1/wrapkey"),
    ("POST", "/crypto/v1/keys/{key_id}/unwrapkey", "POST", "/crypto/v1/unwrapkey"),
    ("POST", "/crypto/v1/keys/{key_id}/derive", "POST", "/crypto/v1/derive"),
];

/// The document, read once.
pub(crate) struct Document {
    operations: Vec<Operation>,
}

/// A method on a path.
pub(crate) struct Operation {
    pub(crate) method: String,
    /// With its parameters in braces.
    pub(crate) path: String,
    /// Names of the members of its request's body, empty where it takes none.
    pub(crate) members: Vec<String>,
    success: Success,
}

enum Success {
    /// 204.
    Nothing,
    /// JSON of this schema.
    Json { schema: Value, validator: OnceCell<Validator> },
}

impl Operation {
    /// How messages call it.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Its path with `value` for each parameter.
    pub(crate) fn path_with(&self, value: &str) -> String {
        let segments = self.path.split('/').map(|segment| if segment.starts_with('{') { value } else { segment });
        segments.collect::<Vec<_>>().join("/")
    }

    fn serves(&self, method: &str, path: &str) -> bool {
        self.method == method && same_shape(&self.path, path)
    }
}

impl Document {
    pub(crate) fn read() -> Self {
        let published: Value = serde_json::from_str(PUBLISHED).expect("the document is JSON");
        let mut operations = Vec::new();
        for (path, methods) in published["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    members: members(&published, &operation["requestBody"]["content"]["application/json"]["schema"]),
                    success: Success::read(&published, &operation["responses"]),
                });
            }
        }
        Self { operations }
    }

    /// The published operations.
    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation that this request asks for, also where it is an older client's spelling.
    ///
    /// # Panics
    /// Where it is in neither.
    #[track_caller]
    pub(crate) fn operation(&self, method: &str, path: &str) -> &Operation {
        if let Some(found) = self.published(method, path) {
            return found;
        }
        let old = |legacy: &&(&str, &str, &str, &str)| legacy.0 == method && same_shape(legacy.1, path);
        let (_, _, method, path) = LEGACY.iter().find(old).unwrap_or_else(|| panic!("{method} {path} is not in the document"));
        self.published(method, path).expect("the table of old spellings names published operations")
    }

    fn published(&self, method: &str, path: &str) -> Option<&Operation> {
        let fitting = self.operations.iter().filter(|operation| operation.serves(method, path));
        // A literal segment goes before a parameter.
        fitting.min_by_key(|operation| operation.path.matches('{').count())
    }

    /// What is wrong with this reply, if anything: a success by the operation's schema, a refusal by DSM's ways.
    pub(crate) fn judge(&self, method: &str, path: &str, reply: &Reply) -> Result<(), String> {
        if reply.request_id.len() != 8 || !reply.request_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(format!("X-Request-ID is {:?}", reply.request_id));
        }
        match reply.status {
            200..300 => self.operation(method, path).judge_success(reply),
            400..500 => judge_refusal(reply),
            other => Err(format!("status {other}")),
        }
    }
}

impl Success {
    fn read(published: &Value, responses: &Value) -> Self {
        let schema = &responses["2XX"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            return Self::Nothing;
        }
        // References in the schema are looked up from its own root.
        let schema = json!({"allOf": [schema], "components": {"schemas": published["components"]["schemas"]}});
        Self::Json { schema, validator: OnceCell::new() }
    }
}

impl Operation {
    fn judge_success(&self, reply: &Reply) -> Result<(), String> {
        let Success::Json { schema, validator } = &self.success else {
            let empty = reply.status == 204 && reply.text.is_empty();
            return if empty { Ok(()) } else { Err(format!("an empty 204 is due, not {} {}", reply.status, reply.text)) };
        };
        if reply.content_type != "application/json" {
            return Err(format!("Content-Type is {:?}", reply.content_type));
        }
        let body = without_nulls(serde_json::from_str(&reply.text).map_err(|error| format!("no JSON: {error}"))?);
        let problems: Vec<String> = validator
            .get_or_init(|| build(schema))
            .iter_errors(&body)
            .map(|error| format!("at {:?}: {}", error.instance_path().to_string(), shortened(&error.to_string())))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }
}

fn judge_refusal(reply: &Reply) -> Result<(), String> {
    if !reply.content_type.starts_with("text/plain") {
        return Err(format!("a refusal of Content-Type {:?}", reply.content_type));
    }
    if reply.text.trim().is_empty() || reply.text.starts_with(['{', '[', '"']) {
        return Err(format!("a refusal of status {} says {:?}", reply.status, reply.text));
    }
    Ok(())
}

fn build(schema: &Value) -> Validator {
    // OpenAPI 3.0's schemas are an early draft's, with formats of their own.
    jsonschema::options()
        .with_draft(Draft::Draft4)
        .should_validate_formats(true)
        .with_format("byte", |text: &str| STANDARD.decode_to_vec(text).is_ok())
        .with_format("uuid", |text: &str| Uuid::try_parse(text).is_ok_and(|uuid| uuid.to_string() == text))
        .build(schema)
        .expect("the published schemas are valid")
}

/// The members of a schema's object, through references and `allOf`.
fn members(published: &Value, schema: &Value) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next()) {
        return members(published, &published["components"]["schemas"][name]);
    }
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let parts = ["allOf", "oneOf"].iter().filter_map(|kind| schema[kind].as_array()).flatten();
    own.chain(parts.flat_map(|part| members(published, part))).collect()
}

/// Whether a path is such as the template says; its query does not count.
fn same_shape(template: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    template.split('/').count() == path.split('/').count()
        && template.split('/').zip(path.split('/')).all(|(ours, theirs)| ours == theirs || ours.starts_with('{'))
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            members.into_iter().filter(|(_, member)| !member.is_null()).map(|(name, member)| (name, without_nulls(member))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}
