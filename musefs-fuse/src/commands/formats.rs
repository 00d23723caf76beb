//! `musefs formats`: what is read, kept and written of each format, for people, for programs, and as `docs/formats.md`.
//!
//! All of it comes from the descriptions in the core; nothing is said of a format here.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use musefs_core::formats::{Description, Format, KeyNames, key_names};
use serde::Serialize;

use super::Failure;
use crate::cli::{EXIT_DONE, FormatsArgs};

/// Everything, for programs.
#[derive(Serialize)]
struct All {
    formats: Vec<&'static Description>,
    keys: Vec<KeyNames>,
}

/// Prints; the exit code.
///
/// # Errors
/// When standard output takes no more. A reader that has seen enough is no error.
pub(super) fn run(args: &FormatsArgs) -> Result<u8, Failure> {
    let text = if args.json {
        json()?
    } else if args.markdown {
        markdown()
    } else {
        plain()
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(EXIT_DONE),
    }
}

fn descriptions() -> impl Iterator<Item = &'static Description> {
    Format::ALL.into_iter().map(Format::description)
}

fn json() -> serde_json::Result<String> {
    let all = All {
        formats: descriptions().collect(),
        keys: key_names().collect(),
    };
    serde_json::to_string_pretty(&all).map(|text| text + "\n")
}

fn extensions(format: &Description) -> String {
    let dotted: Vec<String> = format
        .extensions
        .iter()
        .map(|extension| format!(".{extension}"))
        .collect();
    dotted.join(" ")
}

/// What is said of a format, as pairs of a heading and what stands beneath it; headings with nothing beneath are left out.
fn sayings(format: &Description) -> Vec<(&'static str, Vec<String>)> {
    let owned = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect();
    let written = if format.written.is_empty() {
        vec!["nothing: files are served as they are".to_owned()]
    } else {
        owned(format.written)
    };
    let losses = format
        .losses
        .iter()
        .map(|loss| format!("{}: {}", loss.what, loss.why))
        .collect();
    let mut sayings = vec![
        ("Read", owned(format.read)),
        ("Kept", owned(format.kept)),
        ("Written", written),
        ("Sound", vec![format.audio.to_owned()]),
        ("Left alone", owned(format.left_alone)),
        ("Lost", losses),
    ];
    sayings.retain(|(_, lines)| !lines.is_empty());
    sayings
}

fn plain() -> String {
    let mut text = String::new();
    for format in descriptions() {
        let _ = writeln!(text, "{}  {}", format.title, extensions(format));
        for (heading, lines) in sayings(format) {
            for (index, line) in lines.iter().enumerate() {
                let heading = if index == 0 { heading } else { "" };
                let _ = writeln!(text, "  {heading:<11}{line}");
            }
        }
        text.push('\n');
    }
    text.push_str("musefs formats --markdown has the names of all tags, too.\n");
    text
}

/// The page `docs/formats.md`.
fn markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    page.push_str("| format | extensions | tags that are read | metadata that is written |\n|---|---|---|---|\n");
    for format in descriptions() {
        let written = if format.written.is_empty() {
            "none: served as it is".to_owned()
        } else {
            format.written.join(", ")
        };
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            cell(format.title),
            cell(&extensions(format)),
            cell(&format.read.join(", ")),
            cell(&written),
        );
    }
    for format in descriptions() {
        let _ = writeln!(page, "\n## {}\n", format.title);
        for (heading, lines) in sayings(format)
            .iter()
            .filter(|(heading, _)| *heading != "Lost")
        {
            let _ = writeln!(page, "- **{heading}**: {}.", lines.join("; "));
        }
        if !format.losses.is_empty() {
            page.push_str("\n| lost | why | sample in `tests/data/odd` |\n|---|---|---|\n");
        }
        for loss in format.losses {
            let _ = writeln!(
                page,
                "| {} | {} | `{}` |",
                cell(loss.what),
                cell(loss.why),
                loss.sample
            );
        }
    }
    page.push_str(KEYS);
    for names in key_names() {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} | {} |",
            names.key,
            codes(names.vorbis),
            codes(names.id3v2),
            codes(names.apev2),
            codes(names.mp4),
            codes(names.riff_info),
        );
    }
    page
}

const INTRODUCTION: &str = "\
# Formats

This page is printed by `musefs formats --markdown`; `musefs formats --json` tells programs the same.

Files are found by these extensions, in any case, and told apart by their content. A file with another content than its extension
says is served as what it is, and named by the scan. One that cannot be taken apart is listed and served as it is. The sound of a
file is never changed: what is written stands around it.

Tags and kept items come out as they went in, with the exceptions that are listed for each format. Pictures and kept items are
ranges of your file, until somebody replaces them. Text is decoded as what it claims to be, else as Windows-1252, which the scan
notes; a value over 1 MiB is kept unread.

";

const KEYS: &str = "
## Names of tags

The key is the name in the store and in templates. The first name of each kind of tag is the one that is written; the others are
read as the same field where the first one is absent. A key that a kind of tag has no name for is written under the key itself
(`TXXX:` with it in ID3v2, a freeform atom in MP4), and an item that is not in this table keeps its own name.

`TXXX:` stands before a description, `TIPL:` before a role, `----:` before the name of a freeform atom of iTunes; `TRCK/`, `TPOS/`,
`trkn/` and `disk/` are the totals in these.

| key | Vorbis comments | ID3v2.4 | APEv2 | MP4 | RIFF INFO |
|---|---|---|---|---|---|
";

fn codes(names: &[&str]) -> String {
    let codes: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", cell(name)))
        .collect();
    codes.join(" ")
}

/// Text within a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests;
