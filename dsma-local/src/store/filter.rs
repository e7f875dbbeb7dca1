//! Conditions in SQL, and the `filter` expressions of listings translated to them.
//!
//! Source: the examples at `filter` of `ListSobjectsParams` in the OpenAPI, and Fortanix' article on filtering, which calls the language
//! similar to MongoDB's. Values become bound parameters; field names are looked up in a table and never written into SQL.

use dsma_api::Time;
use rusqlite::types::Value;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::listing::{blob, state_at};

/// A condition with a `?` for each of its parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    sql: String,
    parameters: Vec<Value>,
}

/// Deeper expressions are refused: SQLite has a limit of its own.
const MAX_DEPTH: usize = 32;
/// More conditions than this in one expression are refused likewise.
const MAX_CONDITIONS: usize = 500;
/// Longest text that is searched for: SQLite compares it at every place of every value.
const MAX_WORDS: usize = 1000;

impl Condition {
    pub(super) fn new(sql: impl Into<String>, parameters: Vec<Value>) -> Self {
        Self { sql: sql.into(), parameters }
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    pub(super) fn parameters(&self) -> &[Value] {
        &self.parameters
    }

    /// Both.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self::new(format!("{} AND {}", self.sql, other.sql), [&self.parameters[..], &other.parameters].concat())
    }

    /// At least one; none of them where there are none.
    fn any(conditions: &[Self]) -> Self {
        Self::joined(conditions, " OR ", "FALSE")
    }

    fn all(conditions: &[Self]) -> Self {
        Self::joined(conditions, " AND ", "TRUE")
    }

    fn joined(conditions: &[Self], by: &str, empty: &str) -> Self {
        if conditions.is_empty() {
            return Self::new(empty, Vec::new());
        }
        let sql: Vec<String> = conditions.iter().map(|condition| format!("({})", condition.sql)).collect();
        Self::new(format!("({})", sql.join(by)), conditions.iter().flat_map(|condition| condition.parameters.clone()).collect())
    }

    /// A sobject without the value fails a comparison, and so meets its negation.
    fn not(self) -> Self {
        Self::new(format!("NOT COALESCE({}, FALSE)", self.sql), self.parameters)
    }
}

/// Translates an expression such as `{"$and":[{"key_size":{"$gte":256}},{"obj_type":"AES"}]}`. The error says what is wrong with it.
pub(crate) fn compile(expression: &Json, now: Time) -> Result<Condition, String> {
    compile_for(expression, now, Fields::Sobjects)
}

/// As [`compile`], for listings of other objects: these have fewer fields.
pub(crate) fn compile_for(expression: &Json, now: Time, fields: Fields) -> Result<Condition, String> {
    let condition = Compiler { now, fields }.expression(expression, 0)?;
    if condition.parameters.len() > MAX_CONDITIONS { Err("it is too long".into()) } else { Ok(condition) }
}

/// What an expression is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fields {
    Sobjects,
    Apps,
    Groups,
}

struct Compiler {
    now: Time,
    fields: Fields,
}

/// What a field's values are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Flag,
    /// Text as on the wire; seconds since the epoch are taken as well.
    Time,
    /// Seconds since the epoch in the column.
    Epoch,
    /// A 16-byte blob in the column.
    Id,
}

/// Fields by name: their SQL and their kind. What stands here is in both indexes of listings (`FILTER_COLUMNS` in `schema.rs`).
const FIELDS: &[(&str, &str, Kind)] = &[
    ("kid", "kid", Kind::Id),
    ("group_id", "+group_id", Kind::Id),
    ("name", "name", Kind::Text),
    ("description", "description", Kind::Text),
    ("obj_type", "obj_type", Kind::Text),
    ("elliptic_curve", "elliptic_curve", Kind::Text),
    ("key_size", "key_size", Kind::Number),
    ("enabled", "enabled", Kind::Flag),
    ("public_only", "public_only", Kind::Flag),
    ("never_exportable", "never_exportable", Kind::Flag),
    ("origin", "origin", Kind::Text),
    ("creator_type", "creator_type", Kind::Text),
    ("creator_id", "creator_id", Kind::Text),
    ("created_at", "created_at", Kind::Time),
    ("activation_date", "activates", Kind::Time),
    ("deactivation_date", "expires", Kind::Time),
    ("expires", "expires", Kind::Time),
    ("scheduled_rotation", "rotates", Kind::Time),
    ("lastused_at", "lastused_at", Kind::Epoch),
    ("wrapping_key", "links ->> '$.wrappingKey'", Kind::Text),
    ("parent", "links ->> '$.parent'", Kind::Text),
    ("replaced", "links ->> '$.replaced'", Kind::Text),
    ("replacement", "links ->> '$.replacement'", Kind::Text),
];

/// Fields of apps, of which there are few: their documents are read.
const APP_FIELDS: &[(&str, &str, Kind)] = &[
    ("name", "name", Kind::Text),
    ("app_type", "doc ->> '$.app_type'", Kind::Text),
    ("created_at", "doc ->> '$.created_at'", Kind::Time),
    ("auth_type", "doc ->> '$.auth_type'", Kind::Text),
    ("description", "doc ->> '$.description'", Kind::Text),
    ("enabled", "doc ->> '$.enabled'", Kind::Flag),
    ("interface", "doc ->> '$.interface'", Kind::Text),
];
/// Fields of groups.
const GROUP_FIELDS: &[(&str, &str, Kind)] = &[
    ("name", "name", Kind::Text),
    ("created_at", "doc ->> '$.created_at'", Kind::Time),
    ("description", "doc ->> '$.description'", Kind::Text),
    ("wrapping_key_name", "doc ->> '$.wrapping_key_name'", Kind::Text),
];

/// Names of other objects: the field of the sobject that refers to one, and where its name is. The names that fit are looked for once,
/// not for each sobject.
const NAMES: &[(&str, Within, &str)] = &[
    ("group_name", ("+group_id IN (SELECT groups.group_id FROM groups WHERE ", ")"), "groups.name"),
    ("creator_name", ("creator_id IN (SELECT creators.id FROM creators WHERE ", ")"), "creators.name"),
];

/// SQL around a condition.
type Within = (&'static str, &'static str);

/// A field's SQL with its parameters, and its kind.
struct Field {
    sql: String,
    parameters: Vec<Value>,
    kind: Kind,
    within: Within,
}

impl Field {
    fn new(sql: impl Into<String>, parameters: Vec<Value>, kind: Kind) -> Self {
        Self { sql: sql.into(), parameters, kind, within: ("", "") }
    }

    /// A pair of `custom_metadata`, by its key.
    fn metadata(key: &str) -> Self {
        let needs_escapes = |c: char| c == '"' || c == '\\' || c.is_control();
        if key.chars().any(needs_escapes) {
            // Such a key cannot be written as a path.
            let sql = "(SELECT pair.value FROM sobject_metadata AS pair WHERE pair.kid = sobjects.kid AND pair.key = ?)";
            return Self::new(sql, vec![key.to_owned().into()], Kind::Text);
        }
        Self::new("(metadata ->> ?)", vec![format!("$.\"{key}\"").into()], Kind::Text)
    }
}

impl Compiler {
    fn expression(&self, expression: &Json, depth: usize) -> Result<Condition, String> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deeply".into());
        }
        let members = expression.as_object().ok_or("a JSON object is expected")?;
        let conditions = members.iter().map(|(name, value)| match name.as_str() {
            "$and" => Ok(Condition::all(&self.list(value, depth)?)),
            "$or" => Ok(Condition::any(&self.list(value, depth)?)),
            "$nor" => Ok(Condition::any(&self.list(value, depth)?).not()),
            "$not" => Ok(self.expression(value, depth + 1)?.not()),
            "key_ops" if self.fields == Fields::Sobjects => self.key_ops(value, depth),
            // The way to write a field whose name begins with a dollar.
            field => self.field(field.strip_prefix('\\').unwrap_or(field), value, depth),
        });
        Ok(Condition::all(&conditions.collect::<Result<Vec<_>, String>>()?))
    }

    fn list(&self, value: &Json, depth: usize) -> Result<Vec<Condition>, String> {
        let items = value.as_array().ok_or("$and, $or and $nor take an array")?;
        items.iter().map(|item| self.expression(item, depth + 1)).collect()
    }

    fn field(&self, name: &str, value: &Json, depth: usize) -> Result<Condition, String> {
        let field = self.find(name)?;
        match value {
            Json::Object(operators) => self.operators(&field, operators, depth),
            literal => field.compare("=", literal),
        }
    }

    fn find(&self, name: &str) -> Result<Field, String> {
        let table = match self.fields {
            Fields::Sobjects => return self.find_of_sobjects(name),
            Fields::Apps => APP_FIELDS,
            Fields::Groups => GROUP_FIELDS,
        };
        Self::look_up(table, name)
    }

    fn find_of_sobjects(&self, name: &str) -> Result<Field, String> {
        if name == "state" {
            let (sql, parameters) = state_at(self.now);
            return Ok(Field::new(sql, parameters, Kind::Text));
        }
        if let Some(key) = name.strip_prefix("custom_metadata.").or_else(|| name.strip_prefix("custom_attributes.")) {
            return Ok(Field::metadata(key));
        }
        if let Some((_, within, sql)) = NAMES.iter().find(|(field, ..)| *field == name) {
            return Ok(Field { within: *within, ..Field::new(*sql, Vec::new(), Kind::Text) });
        }
        Self::look_up(FIELDS, name)
    }

    fn look_up(table: &[(&str, &str, Kind)], name: &str) -> Result<Field, String> {
        let (_, sql, kind) = table.iter().find(|(field, ..)| *field == name).ok_or_else(|| format!("unknown field {name:?}"))?;
        Ok(Field::new(format!("({sql})"), Vec::new(), *kind))
    }

    /// `{"$gte":1,"$lt":5}`: all of them hold.
    fn operators(&self, field: &Field, operators: &Map<String, Json>, depth: usize) -> Result<Condition, String> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deeply".into());
        }
        let each = |value: &Json| -> Result<Vec<Condition>, String> {
            let items = value.as_array().ok_or("an operator takes an array here")?;
            items.iter().map(|item| self.operators(field, item.as_object().ok_or("an operator is expected")?, depth + 1)).collect()
        };
        let conditions = operators.iter().map(|(operator, value)| match operator.as_str() {
            "$eq" => field.compare("=", value),
            "$ne" => Ok(field.compare("=", value)?.not()),
            "$lt" => field.compare("<", value),
            "$lte" => field.compare("<=", value),
            "$gt" => field.compare(">", value),
            "$gte" => field.compare(">=", value),
            "$in" => field.among(value),
            "$nin" => Ok(field.among(value)?.not()),
            "$text" => field.search(value),
            "$exists" => field.exists(value),
            "$range" => self.operators(field, value.as_object().ok_or("$range takes an object such as {\"$gte\":1,\"$lt\":5}")?, depth + 1),
            "$not" => Ok(self.operators(field, value.as_object().ok_or("$not takes an operator")?, depth + 1)?.not()),
            "$and" => Ok(Condition::all(&each(value)?)),
            "$or" => Ok(Condition::any(&each(value)?)),
            _ => Err(format!("unknown operator {operator:?}")),
        });
        Ok(Condition::all(&conditions.collect::<Result<Vec<_>, String>>()?))
    }

    /// A list: `$any` of its items or `$all` of them; a comparison on its own is one with any item.
    fn key_ops(&self, value: &Json, depth: usize) -> Result<Condition, String> {
        let item = Field::new("item.name", Vec::new(), Kind::Text);
        // The operations that fit are looked for once; each sobject has its own as bits.
        let some = |condition: Condition| {
            let fitting = format!("SELECT COALESCE(SUM(item.bit), 0) FROM key_operations AS item WHERE {}", condition.sql);
            Condition::new(format!("(key_ops & ({fitting})) <> 0"), condition.parameters)
        };
        let Some(operators) = value.as_object() else {
            return Ok(some(item.compare("=", value)?));
        };
        let conditions = operators.iter().map(|(operator, value)| {
            let inner = || self.operators(&item, value.as_object().ok_or("$any and $all take an operator")?, depth + 1);
            match operator.as_str() {
                "$any" => Ok(some(inner()?)),
                "$all" => Ok(some(inner()?.not()).not()),
                "$ne" => Ok(some(item.compare("=", value)?).not()),
                "$nin" => Ok(some(item.among(value)?).not()),
                _ => Ok(some(self.operators(&item, &Map::from_iter([(operator.clone(), value.clone())]), depth + 1)?)),
            }
        });
        Ok(Condition::all(&conditions.collect::<Result<Vec<_>, String>>()?))
    }
}

impl Field {
    fn compare(&self, operator: &'static str, value: &Json) -> Result<Condition, String> {
        if value.is_null() {
            return Ok(self.missing());
        }
        Ok(self.condition(&format!("{operator} ?"), vec![self.parameter(value)?]))
    }

    fn among(&self, value: &Json) -> Result<Condition, String> {
        let items = value.as_array().ok_or("$in and $nin take an array")?;
        let items = items.iter().map(|item| self.parameter(item)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.condition(&format!("IN ({})", vec!["?"; items.len()].join(",")), items))
    }

    /// The text contains the words as they stand, in either case of ASCII.
    fn search(&self, value: &Json) -> Result<Condition, String> {
        let words = value.get("$search").and_then(Json::as_str).ok_or("$text takes {\"$search\":\"words\"}")?;
        if words.len() > MAX_WORDS {
            return Err(format!("$search takes at most {MAX_WORDS} bytes"));
        }
        let text = match self.kind {
            // An id that is whole is found by the index.
            Kind::Id => match Uuid::parse_str(words) {
                Ok(id) => return Ok(self.condition("= ?", vec![blob(id)])),
                Err(_) => format!("hex({})", self.sql),
            },
            Kind::Text => self.sql.clone(),
            _ => return Err("$text is for fields of text".into()),
        };
        let words = if self.kind == Kind::Id { words.replace('-', "") } else { words.to_owned() };
        let pattern = words.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let parameters = [&self.parameters[..], &[format!("%{pattern}%").into()]].concat();
        Ok(self.within(&format!("{text} LIKE ? ESCAPE '\\'"), parameters))
    }

    fn exists(&self, value: &Json) -> Result<Condition, String> {
        let wanted = flag(value).ok_or("$exists takes true or false")?;
        Ok(if wanted { self.missing().not() } else { self.missing() })
    }

    fn missing(&self) -> Condition {
        self.condition("IS NOT NULL", Vec::new()).not()
    }

    fn condition(&self, rest: &str, parameters: Vec<Value>) -> Condition {
        self.within(&format!("{} {rest}", self.sql), [&self.parameters[..], &parameters].concat())
    }

    fn within(&self, sql: &str, parameters: Vec<Value>) -> Condition {
        let (before, after) = self.within;
        Condition::new(format!("{before}{sql}{after}"), parameters)
    }

    /// The value as the column holds it.
    fn parameter(&self, value: &Json) -> Result<Value, String> {
        let wrong = || format!("{value} is no value of this field");
        Ok(match self.kind {
            Kind::Text => value.as_str().ok_or_else(wrong)?.to_owned().into(),
            Kind::Number => value.as_i64().or_else(|| value.as_str()?.parse().ok()).ok_or_else(wrong)?.into(),
            Kind::Flag => flag(value).ok_or_else(wrong)?.into(),
            Kind::Time => time(value).ok_or_else(wrong)?.to_string().into(),
            Kind::Epoch => time(value).ok_or_else(wrong)?.0.into(),
            Kind::Id => blob(value.as_str().and_then(|text| Uuid::parse_str(text).ok()).ok_or_else(wrong)?),
        })
    }
}

/// `true`, or the text of it, as the published examples have it.
fn flag(value: &Json) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

/// Seconds since the epoch, or the wire's compact form; years that the compact form can write.
fn time(value: &Json) -> Option<Time> {
    let time = match value {
        Json::Number(number) => Time(number.as_i64()?),
        other => other.as_str()?.parse().ok()?,
    };
    (0..=253_402_300_799).contains(&time.0).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expressions that the OpenAPI and the vendor's article print.
    #[test]
    fn published_examples_compile() {
        for text in [
            "{}",
            r#"{"key_size":{"$lte":256}}"#,
            r#"{"kid":{"$text":{"$search":"1e70c17a-78c3-4fd9-83f5-dbea8641147a"}}}"#,
            r#"{"key_ops":{"$any":{"$or":[{"$eq":"ENCRYPT"},{"$eq":"DECRYPT"}]}}}"#,
            r#"{"key_ops":{"$all":{"$ne":"HIGHVOLUME"}}}"#,
            r#"{"$and":[{"creator_type":{"$in":["App","User","Plugin"]}},{"obj_type":{"$eq":"RSA"}},{"enabled":{"$eq":"false"}}]}"#,
            r#"{"custom_attributes.custom":{"$text":{"$search":"1"}}}"#,
            r#"{"$and":[{"expires":{"$lt":1739794200}},{"obj_type":{"$nin":["OPAQUE"]}},{"state":{"$nin":["Compromised"]}}]}"#,
            r#"{"$and":[{"key_size":256},{"creator_name":{"$text":{"$search":"key creator"}}},{"group_name":{"$exists":true}}]}"#,
        ] {
            let condition = compile(&serde_json::from_str(text).unwrap(), Time(1)).unwrap();
            assert_eq!(condition.sql.matches('?').count(), condition.parameters.len(), "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let deep = (0..200).fold(serde_json::json!({}), |inner, _| serde_json::json!({"$not": inner}));
        assert!(compile(&deep, Time(1)).is_err());
        for text in [
            "[]",
            "1",
            r#"{"$and":{}}"#,
            r#"{"colour":1}"#,
            r#"{"name":{"$regex":"x"}}"#,
            r#"{"name":1}"#,
            r#"{"key_size":"x"}"#,
            r#"{"kid":{"$eq":"x"}}"#,
            r#"{"created_at":{"$lt":"2026"}}"#,
            r#"{"created_at":{"$lt":-1}}"#,
            r#"{"name) OR (1=1":"x"}"#,
        ] {
            assert!(compile(&serde_json::from_str(text).unwrap(), Time(1)).is_err(), "{text}");
        }
    }
}
