//! The figures as a table and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::contestants::Column;
use crate::measure::{Plan, Row};
use crate::operation::Operation;

/// CPU microseconds that a warm AES-GCM 1 KiB call through the C API may cost.
const BUDGET: f64 = 3.0;

/// Whether the C API keeps its budget at one thread; `None` where that was not measured.
pub(crate) fn within_budget(rows: &[Row]) -> Option<bool> {
    budgeted(rows).map(|cost| cost <= BUDGET)
}

/// The table, one line a cell.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut out = String::from(
        "CPU microseconds of the calling thread per operation; wall is the time on the clock; x: best, divided by that column's best.\n",
    );
    let mut last = None;
    for row in rows {
        if last != Some((row.operation, row.threads)) {
            last = Some((row.operation, row.threads));
            let threads = if row.threads == 1 { "thread" } else { "threads" };
            _ = writeln!(out, "\n{}, {} {threads}", row.operation.name(), row.threads);
            let head = ["", "best", "median", "wall", "x aws-lc", "x SoftHSM2"];
            _ = writeln!(out, "  {:<22}{:>10}{:>10}{:>10}{:>10}{:>12}", head[0], head[1], head[2], head[3], head[4], head[5]);
        }
        let ratio = |column| ratio(rows, row, column).map_or_else(|| "-".to_owned(), three_digits);
        _ = writeln!(
            out,
            "  {:<22}{:>10.2}{:>10.2}{:>10.2}{:>10}{:>12}",
            row.column.name(),
            row.cpu_best,
            row.cpu_median,
            row.wall_median,
            ratio(Column::Raw),
            ratio(Column::SoftHsm2)
        );
    }
    if let Some(cost) = budgeted(rows) {
        let verdict = if cost <= BUDGET { "kept" } else { "MISSED" };
        _ = writeln!(out, "\nBudget: a warm AES-GCM 1 KiB call through the C API costs {cost:.2} us of {BUDGET:.0} us: {verdict}.");
        if let Some(forwarded) = rows.iter().find(|row| row.operation == Operation::Forwarded) {
            let (cpu, wall) = (forwarded.cpu_median, forwarded.wall_median);
            _ = writeln!(
                out,
                "The same call, forwarded to DSM on this machine: {cpu:.0} us of the caller's CPU, {wall:.0} us on the clock."
            );
        }
    }
    out
}

/// The same for programs.
pub(crate) fn json(rows: &[Row], plan: &Plan) -> Value {
    let cells: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "operation": row.operation.name(),
                "threads": row.threads,
                "column": row.column.name(),
                "cpu_us_best": row.cpu_best,
                "cpu_us_median": row.cpu_median,
                "wall_us_median": row.wall_median,
                "ratio_to_aws_lc": ratio(rows, row, Column::Raw),
                "ratio_to_softhsm2": ratio(rows, row, Column::SoftHsm2),
            })
        })
        .collect();
    json!({
        "unit": "microseconds of the calling thread's CPU per operation",
        "rounds": plan.rounds,
        "millis_per_round": plan.millis,
        "processor": processor(),
        "budget": {"limit_us": BUDGET, "cost_us": budgeted(rows), "kept": within_budget(rows)},
        "cells": cells,
    })
}

/// What the budget is about: the best round at the smallest number of threads.
fn budgeted(rows: &[Row]) -> Option<f64> {
    rows.iter().find(|row| row.operation == Operation::GcmEncrypt && row.column == Column::CApi).map(|row| row.cpu_best)
}

/// This cell's best against that of another column under the same conditions. A forwarded call is held against the local primitive.
fn ratio(rows: &[Row], row: &Row, column: Column) -> Option<f64> {
    let operation = if row.operation == Operation::Forwarded { Operation::GcmEncrypt } else { row.operation };
    let other = rows.iter().find(|other| other.operation == operation && other.threads == row.threads && other.column == column)?;
    Some(row.cpu_best / other.cpu_best)
}

/// 0.015, 2.04, 132: enough to tell apart, no more than the noise allows.
fn three_digits(ratio: f64) -> String {
    let digits = match ratio {
        ratio if ratio < 0.1 => 3,
        ratio if ratio < 100.0 => 2,
        _ => 0,
    };
    format!("{ratio:.digits$}")
}

fn processor() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(operation: Operation, column: Column, cost: f64) -> Row {
        Row { operation, threads: 1, column, cpu_best: cost, cpu_median: cost + 1.0, wall_median: cost + 2.0 }
    }

    #[test]
    fn ratios_refer_to_the_same_operation_and_threads() {
        let gcm = Operation::GcmEncrypt;
        let mut rows = vec![row(gcm, Column::Raw, 0.5), row(gcm, Column::CApi, 1.0), row(gcm, Column::SoftHsm2, 20.0)];
        rows.push(Row { threads: 2, ..row(gcm, Column::CApi, 4.0) });
        rows.push(row(Operation::Forwarded, Column::CApi, 50.0));
        let plan = Plan { rounds: 1, millis: 1 };
        let cells = json(&rows, &plan)["cells"].clone();
        assert_eq!((&cells[1]["ratio_to_aws_lc"], &cells[1]["ratio_to_softhsm2"]), (&json!(2.0), &json!(0.05)));
        assert_eq!(cells[3]["ratio_to_aws_lc"], Value::Null, "two threads are not compared with one");
        assert_eq!(cells[4]["ratio_to_aws_lc"], json!(100.0), "forwarded against local");
        let table = table(&rows);
        assert!(table.contains("costs 1.00 us of 3 us: kept"), "{table}");
        assert!(table.contains("51 us of the caller's CPU, 52 us on the clock"), "{table}");
        assert!(table.contains("0.050"), "{table}");
    }

    #[test]
    fn the_budget_is_the_c_apis() {
        assert_eq!(within_budget(&[]), None);
        assert_eq!(within_budget(&[row(Operation::GcmEncrypt, Column::Pkcs11, 9.0)]), None);
        let rows = [row(Operation::GcmEncrypt, Column::CApi, 3.1)];
        assert_eq!(within_budget(&rows), Some(false));
        assert!(table(&rows).contains("MISSED"));
    }
}
