//! Rows as text for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::machine;
use crate::row::{COLUMNS, Cell, Column, Row};

/// The table, in Markdown that is also readable as it is.
pub fn table(facts: &[(&'static str, String)], rows: &[Row]) -> String {
    let mut text = String::new();
    for (name, value) in facts {
        writeln!(text, "{name}: {value}").ok();
    }
    let mut lines = vec![
        [
            "what",
            "unit",
            "native",
            "floor",
            "ours",
            "theirs",
            "÷ native",
            "÷ floor",
            "÷ theirs",
            "remark",
        ]
        .map(str::to_owned),
    ];
    for row in rows {
        let [native, floor, ours, theirs] = COLUMNS.map(|column| cell(row.cell(column)));
        let [to_native, to_floor, to_theirs] = [Column::Native, Column::Floor, Column::Theirs]
            .map(|column| row.ratio_to(column).map_or_else(String::new, number));
        let remark = [remark(row), row.note.clone()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
        lines.push([
            row.what.clone(),
            row.unit.text().to_owned(),
            native,
            floor,
            ours,
            theirs,
            to_native,
            to_floor,
            to_theirs,
            remark,
        ]);
    }
    // What nobody was asked about is no column.
    let shown: [bool; 10] = std::array::from_fn(|index| {
        let mut cells = lines.iter().skip(1).map(|line| line[index].as_str());
        index == 0 || cells.any(|cell| !matches!(cell, "" | "—"))
    });
    let lines: Vec<Vec<String>> = lines
        .into_iter()
        .map(|line| {
            line.into_iter()
                .zip(shown)
                .filter_map(|(cell, shown)| shown.then_some(cell))
                .collect()
        })
        .collect();
    let columns = shown.iter().filter(|shown| **shown).count();
    let widths: Vec<usize> = (0..columns)
        .map(|index| {
            let lens = lines.iter().map(|line| line[index].chars().count());
            lens.max().unwrap_or(0)
        })
        .collect();
    text.push('\n');
    for (index, line) in lines.iter().enumerate() {
        push_line(&mut text, line, &widths);
        if index == 0 {
            let rule: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
            push_line(&mut text, &rule, &widths);
        }
    }
    text
}

fn push_line(text: &mut String, line: &[String], widths: &[usize]) {
    for (cell, width) in line.iter().zip(widths) {
        let space = width - cell.chars().count();
        write!(text, "| {cell}{:space$} ", "").ok();
    }
    text.push_str("|\n");
}

/// The median, and from where to where the samples went.
fn cell(cell: &Cell) -> String {
    match cell.spread() {
        Some([least, median, greatest]) if least < greatest => {
            format!(
                "{} ({}–{})",
                number(median),
                number(least),
                number(greatest)
            )
        }
        Some([_, median, _]) => number(median),
        None => "—".into(),
    }
}

/// Why cells are empty, once for each reason.
fn remark(row: &Row) -> String {
    let mut parts: Vec<String> = Vec::new();
    for column in COLUMNS {
        if let Cell::Reason(reason) = row.cell(column)
            && reason != "—"
        {
            parts.push(format!("{}: {reason}", column.name()));
        }
    }
    parts.join("; ")
}

/// Three digits that count.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 10_000.0 {
        format!("{:.1}k", value / 1000.0)
    } else if size >= 100.0 || value == 0.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 0.1 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

/// All samples and reasons.
pub fn json(facts: &[(&'static str, String)], rows: &[Row]) -> Value {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let cells: serde_json::Map<_, _> = COLUMNS
                .iter()
                .map(|column| {
                    let cell = row.cell(*column);
                    let value = match (cell, cell.spread()) {
                        (Cell::Samples(samples), Some([least, median, greatest])) => {
                            json!({"median": median, "least": least, "greatest": greatest, "samples": samples})
                        }
                        (Cell::Reason(reason), _) => json!({ "reason": reason }),
                        (Cell::Samples(_), None) => json!({ "reason": "no samples" }),
                    };
                    (column.name().to_owned(), value)
                })
                .collect();
            json!({
                "id": row.id,
                "what": row.what,
                "unit": row.unit.text(),
                "more_is_better": row.unit.more_is_better(),
                "note": row.note,
                "cells": cells,
                "ours_to": {
                    "native": row.ratio_to(Column::Native),
                    "floor": row.ratio_to(Column::Floor),
                    "theirs": row.ratio_to(Column::Theirs),
                },
            })
        })
        .collect();
    json!({ "machine": machine::as_json(facts), "rows": rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Unit;

    #[test]
    fn a_table_has_numbers_spreads_ratios_and_reasons() {
        let mut row = Row::new("walk", "walk", Unit::Seconds);
        row.set(Column::Native, Cell::Samples(vec![0.2, 0.1, 0.4]));
        row.set(Column::Ours, Cell::Samples(vec![0.4]));
        row.set(Column::Theirs, Cell::Reason("it did not mount".into()));
        let text = table(&[("cores", "2".into())], &[row]);
        assert!(text.starts_with("cores: 2\n"), "{text}");
        for wanted in ["0.20 (0.10–0.40)", "| 2.00", "theirs: it did not mount"] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
        let widths: Vec<_> = text
            .lines()
            .skip(2)
            .map(|line| line.chars().count())
            .collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    }
}
