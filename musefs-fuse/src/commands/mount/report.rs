//! What `musefs mount` tells of the tree: one line, or all of it.

use std::io;

use anyhow::Context as _;
use musefs_core::metrics::CoreMetrics;
use musefs_core::refresh::{BuildReport, Refresher, TreeConfig};
use musefs_core::tree::{NodeIndex, NodeKind, Tree};
use musefs_telemetry::Engine;

use crate::cli::{EXIT_DONE, MountArgs};
use crate::commands::Failure;

/// Prints the tree that a mount would have; the exit code.
pub(super) fn dry_run(args: &MountArgs, tree_config: TreeConfig) -> Result<u8, Failure> {
    use io::Write as _;
    let metrics = CoreMetrics::declare(&Engine::new()).context("a metric of the core")?;
    let (published, report) = Refresher::open(&args.db, tree_config, &metrics)?.build(None)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let printed =
        print_tree(&published.tree, &mut out).and_then(|()| writeln!(out, "{}", told(&report)));
    match printed.and_then(|()| out.flush()) {
        // Whoever read the tree has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(EXIT_DONE),
        other => other.map(|()| EXIT_DONE).map_err(Failure::from),
    }
}

/// Every file's path, in the order of a walk.
fn print_tree(tree: &Tree, out: &mut impl io::Write) -> io::Result<()> {
    let mut directories = vec![tree.children(NodeIndex::ROOT)];
    while let Some(children) = directories.last_mut() {
        match children.next() {
            None => {
                directories.pop();
            }
            Some(node) => match tree.node(node).kind {
                NodeKind::Directory { .. } => directories.push(tree.children(node)),
                NodeKind::File { .. } => writeln!(out, "{}", tree.path_of(node))?,
            },
        }
    }
    Ok(())
}

/// How many tracks there are, and how many not and why.
pub(super) fn told(report: &BuildReport) -> String {
    let left_out =
        |count: u64, why: &str| (count > 0).then(|| format!("{count} left out because {why}"));
    let mut told = vec![format!(
        "{} {}",
        report.listed,
        if report.listed == 1 {
            "track"
        } else {
            "tracks"
        }
    )];
    told.extend(left_out(report.missing, "their files are gone"));
    told.extend(
        report
            .skipped
            .iter()
            .filter_map(|(field, &count)| left_out(count, &format!("they lack {field}"))),
    );
    told.extend(left_out(report.broken, "their rows cannot be read"));
    let to_scan = |count: u64, why: &str| (count > 0).then(|| format!("{count} {why}: scan again"));
    told.extend(to_scan(
        report.unread,
        "with rows that cannot be read as a whole",
    ));
    told.extend(to_scan(
        report.outdated,
        "served as they are, because another version of musefs read them",
    ));
    told.join(", ")
}
