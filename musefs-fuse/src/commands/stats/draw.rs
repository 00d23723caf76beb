//! One screen: what a mount did in the last interval. Laid out for 80 columns and 24 lines, and more of each.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Sparkline, Table};

use super::human;
use super::view::{Operation, Rate, View};

/// What is to be shown.
#[derive(Debug)]
pub struct Screen<'a> {
    /// Where the numbers come from.
    pub source: &'a str,
    /// The last interval; absent until one is over.
    pub view: Option<&'a View>,
    /// Bytes a second in the intervals so far, the last one last.
    pub history: &'a [u64],
    /// What keeps numbers from coming, if anything does.
    pub trouble: Option<&'a str>,
    /// Whether that is the mount, so that nobody knows how it is.
    pub is_away: bool,
    /// The keys, for who has some.
    pub keys: Option<&'a str>,
}

/// Lines of the block of reads, and of what there is to do, with their frames.
const TOP_LINES: u16 = 8;
/// Lines of the blocks of the library and of the clients, with their frames.
const BOTTOM_LINES: u16 = 7;
const BOTTOM_LINES_LARGE: u16 = 20;
/// Lines from which on there is room for more of everything.
const LARGE: u16 = 50;

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, screen: &Screen<'_>) {
    let [title, top, middle, bottom, footer] = parts(frame.area(), screen);
    draw_title(frame, title, screen);
    draw_footer(frame, footer, screen);
    let Some(view) = screen.view else {
        let waiting = screen.trouble.unwrap_or("Looking for one interval …");
        frame.render_widget(Paragraph::new(waiting), top);
        return;
    };
    let [reads, work] = halves(top);
    draw_reads(frame, reads, view, screen.history);
    frame.render_widget(table_of(work_of(view)).block(titled("Under way")), work);
    draw_operations(frame, middle, view);
    let [library, clients] = halves(bottom);
    frame.render_widget(
        table_of(library_of(view)).block(titled("Library and caches")),
        library,
    );
    draw_clients(frame, clients, view);
}

/// Where there is room, all operations are told, and the plot gets what is left.
fn parts(area: Rect, screen: &Screen<'_>) -> [Rect; 5] {
    let operations = screen.view.map_or(0, |view| view.operations.len());
    let table = u16::try_from(operations)
        .unwrap_or(u16::MAX)
        .saturating_add(3);
    let [top, middle, bottom] = if area.height >= LARGE {
        [
            Constraint::Fill(1),
            Constraint::Length(table),
            Constraint::Length(BOTTOM_LINES_LARGE),
        ]
    } else {
        [
            Constraint::Length(TOP_LINES),
            Constraint::Min(4),
            Constraint::Length(BOTTOM_LINES),
        ]
    };
    let line = Constraint::Length(1);
    Layout::vertical([line, top, middle, bottom, line]).areas(area)
}

fn halves(area: Rect) -> [Rect; 2] {
    Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area)
}

fn titled(title: &str) -> Block<'_> {
    Block::bordered()
        .title(title)
        .border_style(Style::new().dim())
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, screen: &Screen<'_>) {
    let mut left = vec![Span::from("musefs ").bold(), Span::from(screen.source)];
    if let Some(view) = screen.view {
        if screen.is_away {
            left.push(Span::from("  no answer").red().bold());
        } else if let Some(health) = &view.health {
            left.push(Span::from("  "));
            left.push(Span::styled(health.clone(), health_style(health)));
        }
        if view.restarted {
            left.push(Span::from("  made anew").yellow());
        }
    }
    let right = screen.view.map_or_else(String::new, |view| {
        let up = human::or_unknown(view.uptime_seconds, human::uptime);
        let version = view.version.as_deref().unwrap_or_default();
        format!("up {up}  {version}")
    });
    frame.render_widget(Paragraph::new(Line::from(left)), area);
    frame.render_widget(
        Paragraph::new(right).alignment(Alignment::Right).dim(),
        area,
    );
}

fn health_style(health: &str) -> Style {
    let style = Style::new().add_modifier(Modifier::BOLD);
    match health {
        "ok" => style.fg(Color::Green),
        "degraded" => style.fg(Color::Yellow),
        _ => style.fg(Color::Red),
    }
}

fn draw_footer(frame: &mut Frame<'_>, area: Rect, screen: &Screen<'_>) {
    if let (Some(trouble), Some(_)) = (screen.trouble, screen.view) {
        frame.render_widget(Paragraph::new(trouble).red(), area);
    } else if let Some(keys) = screen.keys {
        frame.render_widget(Paragraph::new(keys).dim(), area);
    }
}

fn draw_reads(frame: &mut Frame<'_>, area: Rect, view: &View, history: &[u64]) {
    let block = titled("Bytes answered");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let mut lines = vec![pair("all", human::byte_rate(view.read_bytes_per_second()))];
    let named = |rate: &Rate| pair(source_name(&rate.name), human::byte_rate(rate.per_second));
    lines.extend(view.bytes_per_second.iter().map(named));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let [numbers, plot] =
        Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(inner);
    frame.render_widget(table_of(lines), numbers);
    let width = usize::from(plot.width);
    let shown = &history[history.len().saturating_sub(width)..];
    frame.render_widget(Sparkline::default().data(shown).cyan(), plot);
}

/// What a source of bytes is called where there is room for words.
fn source_name(source: &str) -> &str {
    match source {
        "synthesized_header" => "metadata of the store",
        "art" => "pictures of the store",
        "readahead" => "read ahead",
        "backing" => "backing files",
        other => other,
    }
}

fn pair(name: &str, value: String) -> [String; 2] {
    [name.to_owned(), value]
}

/// Names on the left, their values on the right.
fn table_of(lines: Vec<[String; 2]>) -> Table<'static> {
    let longest = lines.iter().map(|[_, value]| value.chars().count()).max();
    let longest = u16::try_from(longest.unwrap_or_default()).unwrap_or(u16::MAX);
    let row = |[name, value]: [String; 2]| {
        Row::new([
            Cell::from(name),
            Cell::from(Line::from(value).alignment(Alignment::Right)),
        ])
    };
    Table::new(
        lines.into_iter().map(row),
        [Constraint::Fill(1), Constraint::Length(longest)],
    )
}

/// So many of so many.
fn some_of(pair: Option<[f64; 2]>) -> String {
    pair.map_or_else(
        || human::or_unknown(None, human::count),
        |[some, all]| format!("{} of {}", human::count(some), human::count(all)),
    )
}

fn work_of(view: &View) -> Vec<[String; 2]> {
    let age = |operation: &&Operation| operation.oldest_seconds.is_some_and(|age| age > 0.0);
    let oldest = view
        .operations
        .iter()
        .filter(age)
        .max_by(|a, b| {
            a.oldest_seconds
                .partial_cmp(&b.oldest_seconds)
                .expect("no NaN is read")
        })
        .map_or_else(
            || "none".into(),
            |operation| {
                let age = human::or_unknown(operation.oldest_seconds, human::seconds);
                format!("{} {age}", operation.name)
            },
        );
    vec![
        pair("reads", some_of(view.reads_inflight)),
        pair("oldest waiting", oldest),
        pair("parked", human::or_unknown(view.parked, human::count)),
        pair("threads of the pool", some_of(view.pool)),
        pair("open files", human::or_unknown(view.handles, human::count)),
        pair(
            "cores, memory",
            format!(
                "{}, {}",
                human::or_unknown(view.cores_busy, |cores| format!("{cores:.2}")),
                human::or_unknown(view.resident_bytes, human::bytes)
            ),
        ),
    ]
}

fn draw_operations(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let numbers = |operation: &Operation| {
        let failed = human::rate(operation.failed_per_second);
        let failed = Cell::from(Line::from(failed).alignment(Alignment::Right));
        let failed = if operation.failed_per_second > 0.0 {
            failed.red()
        } else {
            failed
        };
        let right = |text: String| Cell::from(Line::from(text).alignment(Alignment::Right));
        Row::new([
            Cell::from(operation.name.clone()),
            right(human::rate(operation.per_second)),
            failed,
            right(human::or_unknown(operation.median_seconds, human::seconds)),
            right(human::or_unknown(operation.p99_seconds, human::seconds)),
        ])
    };
    let heads = ["operation", "/s", "failed/s", "half within", "99 % within"];
    let heads = heads.iter().enumerate().map(|(column, head)| {
        let alignment = if column == 0 {
            Alignment::Left
        } else {
            Alignment::Right
        };
        Cell::from(Line::from(*head).alignment(alignment))
    });
    let table = Table::new(
        view.operations.iter().map(numbers),
        [
            Constraint::Length(12),
            Constraint::Fill(1),
            Constraint::Fill(1),
            Constraint::Fill(1),
            Constraint::Fill(1),
        ],
    )
    .header(Row::new(heads).dim())
    .block(titled("Operations"));
    frame.render_widget(table, area);
}

fn library_of(view: &View) -> Vec<[String; 2]> {
    vec![
        pair(
            "tracks, of these dark",
            format!(
                "{}, {}",
                human::or_unknown(view.tracks, human::count),
                human::or_unknown(view.tracks_dark, human::count)
            ),
        ),
        pair("directories away", some_of(view.roots_unreachable)),
        pair(
            "last edit seen after",
            human::or_unknown(view.refresh_lag_seconds, human::seconds),
        ),
        pair(
            "header cache, read ahead",
            format!(
                "{}, {}",
                human::or_unknown(view.header_cache_hits, human::percent),
                human::or_unknown(view.readahead_hits, human::percent)
            ),
        ),
        pair(
            "read of backing files",
            human::or_unknown(view.backing_bytes_per_second, human::byte_rate),
        ),
    ]
}

fn draw_clients(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let rates = view.clients_per_second.iter();
    let lines: Vec<_> = rates
        .map(|rate| pair(&rate.name, format!("{}/s", human::rate(rate.per_second))))
        .collect();
    let block = titled("Who asks");
    if lines.is_empty() {
        let nobody = if view.notes_clients {
            "nobody"
        } else {
            "not noted by this mount"
        };
        frame.render_widget(Paragraph::new(nobody).dim().block(block), area);
    } else {
        frame.render_widget(table_of(lines).block(block), area);
    }
}

#[cfg(test)]
mod tests;
