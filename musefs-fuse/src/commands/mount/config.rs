//! What a mount was told, as a text: a line for each flag.

use std::fmt::Write as _;

use crate::cli::MountArgs;

/// `flag = value  # from where`, one line each; what was not given and has no default is left out.
pub(super) fn text(args: &MountArgs) -> String {
    let mut text = String::new();
    for given in &args.given {
        for value in &given.values {
            writeln!(
                text,
                "{} = {}  # {}",
                given.name,
                value.escape_debug(),
                given.origin.as_str()
            )
            .expect("a String takes whatever is written to it");
        }
    }
    let (workers, event_loops) = super::thread_counts(args);
    writeln!(
        text,
        "effective.workers = {workers}\neffective.event-loops = {event_loops}"
    )
    .expect("a String takes whatever is written to it");
    text
}
