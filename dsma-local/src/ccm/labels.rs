//! Labels: pairs of words, changed by a JSON patch (RFC 6902).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::refusal::Refusal;

/// Labels of one thing.
const MAX_LABELS: usize = 100;
const MAX_LENGTH: usize = 1024;

/// One operation of a patch. The path is `/name`, the value text.
#[derive(Deserialize)]
pub(crate) struct Patch {
    op: Operation,
    path: String,
    value: Option<Value>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Operation {
    Add,
    Remove,
    Replace,
}

impl Patch {
    /// The same change, with its path below that of a member.
    pub(crate) fn below(mut self, member: &str) -> Self {
        if let Some(rest) = self.path.strip_prefix(member).filter(|rest| rest.starts_with('/')) {
            self.path = rest.to_owned();
        }
        self
    }
}

/// Applies a patch, all of it or, where it is refused, nothing that anybody sees.
pub(crate) fn apply(labels: &mut BTreeMap<String, String>, patches: Vec<Patch>) -> Result<(), Refusal> {
    for Patch { op, path, value } in patches {
        let name = path.strip_prefix('/').map(unescape).filter(|name| !name.is_empty() && !name.contains('/'));
        let name = name.ok_or_else(|| Refusal::invalid(format!("Invalid path {path:?} in a patch: /name is expected")))?;
        if op != Operation::Add && !labels.contains_key(&name) {
            return Err(Refusal::invalid(format!("There is no {name:?} to replace or remove")));
        }
        if op == Operation::Remove {
            labels.remove(&name);
            continue;
        }
        let value = value.as_ref().and_then(Value::as_str).filter(|value| value.len() <= MAX_LENGTH && name.len() <= MAX_LENGTH);
        let value =
            value.ok_or_else(|| Refusal::invalid(format!("Invalid value of {name:?}: text of at most {MAX_LENGTH} bytes is expected")))?;
        labels.insert(name, value.to_owned());
    }
    if labels.len() > MAX_LABELS {
        return Err(Refusal::invalid(format!("At most {MAX_LABELS} pairs are kept")));
    }
    Ok(())
}

/// How often each pair occurs.
pub(crate) fn count<'a>(all: impl Iterator<Item = &'a BTreeMap<String, String>>) -> Value {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (key, value) in all.flatten() {
        *counts.entry((key, value)).or_default() += 1;
    }
    let items = counts.into_iter().map(|((key, value), count)| json!({ "key": key, "value": value, "count": count }));
    json!({ "items": items.collect::<Vec<_>>() })
}

/// RFC 6901, section 4.
fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_add_replace_and_remove() {
        let mut labels = BTreeMap::new();
        let mut patch = |text: &str| apply(&mut labels, serde_json::from_str(text).unwrap()).map(|()| labels.clone());
        let after = patch(r#"[{"op":"add","path":"/a","value":"1"},{"op":"add","path":"/b~0c","value":"2"}]"#).unwrap();
        assert_eq!(after, BTreeMap::from([("a".into(), "1".into()), ("b~c".into(), "2".into())]));
        let after = patch(r#"[{"op":"replace","path":"/a","value":"3"},{"op":"remove","path":"/b~0c"}]"#).unwrap();
        assert_eq!(after, BTreeMap::from([("a".into(), "3".into())]));
        for bad in [
            r#"[{"op":"remove","path":"/none"}]"#,
            r#"[{"op":"add","path":"a","value":"1"}]"#,
            r#"[{"op":"add","path":"/a/b","value":"1"}]"#,
            r#"[{"op":"add","path":"/a"}]"#,
            r#"[{"op":"replace","path":"/a","value":17}]"#,
        ] {
            assert!(patch(bad).is_err(), "{bad}");
        }
    }
}
