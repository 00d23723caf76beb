//! The rows as bars on logarithmic scales, one scale for each unit: an SVG that can be read on light and on dark pages.

use std::fmt::Write as _;

use crate::report::number;
use crate::row::{COLUMNS, Row, Unit};

const WIDTH: f64 = 960.0;
const LABEL_WIDTH: f64 = 430.0;
const NUMBER_WIDTH: f64 = 90.0;
const BAR_HEIGHT: f64 = 13.0;
const ROW_SPACE: f64 = 12.0;
const PANEL_SPACE: f64 = 40.0;
const LABEL_CHARACTERS_MAX: usize = 66;

const STYLE: &str = "\
text { font: 12px sans-serif; fill: #1f2328 } .unit { font-weight: bold } .scale { fill: #6e7781 } line { stroke: #d0d7de }
.native { fill: #8c959f } .floor { fill: #bf8700 } .ours { fill: #0969da } .theirs { fill: #cf222e }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .scale { fill: #8d96a0 } line { stroke: #3d444d }
  .native { fill: #9198a1 } .floor { fill: #d29922 } .ours { fill: #4493f8 } .theirs { fill: #f85149 }
}";

/// In the order in which the panels stand.
const UNITS: [(Unit, &str); 7] = [
    (Unit::GigabytesPerSecond, "GB/s, more is better"),
    (Unit::PerSecond, "reads in a second, more is better"),
    (Unit::Seconds, "seconds, less is better"),
    (Unit::Milliseconds, "milliseconds, less is better"),
    (Unit::Microseconds, "microseconds, less is better"),
    (Unit::Mebibytes, "MiB, less is better"),
    (Unit::Ratio, "times, 1 is best"),
];

/// The plot.
pub fn svg(title: &str, rows: &[Row]) -> String {
    let mut body = String::new();
    let mut y = 56.0;
    for (unit, name) in UNITS {
        let rows: Vec<_> = rows
            .iter()
            .filter(|row| row.unit == unit && row.cells.iter().any(|cell| is_drawn(cell.median())))
            .collect();
        if !rows.is_empty() {
            y = panel(&mut body, y, name, &rows);
        }
    }
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" role=\"img\">\n\
         <title>{0}</title>\n<style>\n{STYLE}\n</style>\n<text x=\"8\" y=\"20\">{0}</text>\n",
        escaped(title)
    );
    let mut x = 8.0;
    for column in COLUMNS {
        let name = column.name();
        writeln!(
            text,
            "<rect class=\"{name}\" x=\"{x}\" y=\"30\" width=\"12\" height=\"12\"/><text x=\"{}\" y=\"40\">{name}</text>",
            x + 17.0
        )
        .ok();
        x += 80.0;
    }
    text + &body + "</svg>\n"
}

fn is_drawn(median: Option<f64>) -> bool {
    median.is_some_and(|median| median > 0.0 && median.is_finite())
}

/// One unit; where the next panel begins.
fn panel(body: &mut String, top: f64, name: &str, rows: &[&Row]) -> f64 {
    let values = rows.iter().flat_map(|row| &row.cells);
    let values = values
        .filter_map(crate::row::Cell::median)
        .filter(|value| *value > 0.0 && value.is_finite());
    let (shortest, longest) = values.fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    // Whole powers of ten around all values, so that the shortest bar is still one.
    let first = (shortest / 1.05).log10().floor();
    let last = (longest.log10().ceil()).max(first + 1.0);
    let space = WIDTH - LABEL_WIDTH - NUMBER_WIDTH;
    let at = |value: f64| LABEL_WIDTH + (value.log10() - first) / (last - first) * space;

    let mut bars = String::new();
    let mut y = top + 30.0;
    for row in rows {
        let middle = y + BAR_HEIGHT - 2.5;
        writeln!(
            bars,
            "<text x=\"8\" y=\"{middle:.1}\">{}</text>",
            escaped(&shortened(&row.what))
        )
        .ok();
        for column in COLUMNS {
            let median = row.cell(column).median();
            let Some(median) = median.filter(|_| is_drawn(median)) else {
                continue;
            };
            let end = at(median);
            writeln!(
                bars,
                "<rect class=\"{}\" x=\"{LABEL_WIDTH}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                column.name(),
                end - LABEL_WIDTH,
                BAR_HEIGHT - 2.0,
                end + 4.0,
                y + BAR_HEIGHT - 2.5,
                number(median)
            )
            .ok();
            y += BAR_HEIGHT;
        }
        y += ROW_SPACE;
    }
    writeln!(
        body,
        "<text class=\"unit\" x=\"8\" y=\"{:.1}\">{name}</text>",
        top + 20.0
    )
    .ok();
    let mut power = first;
    while power <= last {
        let x = at(10_f64.powf(power));
        writeln!(
            body,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
             <text class=\"scale\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
            top + 24.0,
            y - ROW_SPACE / 2.0,
            top + 20.0,
            10_f64.powf(power)
        )
        .ok();
        power += 1.0;
    }
    body.push_str(&bars);
    y + PANEL_SPACE - ROW_SPACE
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LABEL_CHARACTERS_MAX {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(LABEL_CHARACTERS_MAX - 1).collect();
    short.push('…');
    short
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Cell, Column};

    #[test]
    fn a_bar_of_ten_times_as_much_is_one_line_longer() {
        let mut row = Row::new("walk", "walk <first>", Unit::Seconds);
        row.set(Column::Native, Cell::Samples(vec![0.2]));
        row.set(Column::Ours, Cell::Samples(vec![2.0]));
        row.set(Column::Theirs, Cell::Reason("none".into()));
        let text = svg("machine", &[row]);
        let width = |class: &str| -> f64 {
            let from = text.find(&format!("<rect class=\"{class}\" x=\"{LABEL_WIDTH}\""));
            let text = &text[from.expect("a bar")..];
            let width = text.split("width=\"").nth(1).expect("a width");
            let width = width.split('"').next().expect("its end");
            width.parse().expect("a number")
        };
        let decade = (WIDTH - LABEL_WIDTH - NUMBER_WIDTH) / 2.0;
        assert!(
            (width("ours") - width("native") - decade).abs() < 0.2,
            "{text}"
        );
        assert!(text.contains("walk &lt;first&gt;"), "{text}");
        assert_eq!(
            text.matches("class=\"theirs\"").count(),
            1,
            "the legend alone"
        );
    }
}
