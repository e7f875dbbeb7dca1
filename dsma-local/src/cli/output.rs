//! Tables for a person, JSON for a program.

use std::io::{self, Write};

use serde_json::Value;

use crate::error::Error;

/// How results are printed.
#[derive(Clone, Copy)]
pub(super) struct Output {
    /// `--json`.
    pub(super) json: bool,
}

impl Output {
    /// Objects as a table: each column is a heading and a member's name.
    pub(super) fn table(self, objects: &[Value], columns: &[(&str, &str)]) -> Result<(), Error> {
        if self.json {
            return print(&format!("{:#}\n", Value::from(objects.to_vec())));
        }
        let mut rows: Vec<Vec<String>> = vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect()];
        rows.extend(objects.iter().map(|object| columns.iter().map(|(_, member)| cell(&object[member])).collect()));
        let widths: Vec<usize> =
            (0..columns.len()).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
        let line = |row: &Vec<String>| {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            format!("{}\n", cells.join("  ").trim_end())
        };
        print(&rows.iter().map(line).collect::<String>())
    }

    /// One object, a member a line.
    pub(super) fn object(self, object: &Value) -> Result<(), Error> {
        if self.json {
            return print(&format!("{object:#}\n"));
        }
        let members: Vec<(&String, &Value)> = object.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).collect();
        let width = members.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        print(&members.iter().map(|(name, value)| format!("{name:width$}  {}\n", cell(value))).collect::<String>())
    }
}

/// A reader that has seen enough is no failure.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output { source: error }),
        _ => Ok(()),
    }
}

/// Lists of words with commas between them; control characters escaped, so that a name cannot draw on the terminal.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    };
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells() {
        for (value, text) in
            [(json!(["A", "B"]), "A,B"), (json!("a\u{1b}[2J"), "a\\u{1b}[2J"), (json!(null), "-"), (json!({"app": "x"}), r#"{"app":"x"}"#)]
        {
            assert_eq!(cell(&value), text);
        }
    }
}
