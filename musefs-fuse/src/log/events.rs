//! What the log tells of: every event that musefs has a name for, and what to do about it. docs/monitoring.md has the same as
//! a table.
//!
//! A test compares the names with those in the sources, and the table with what is here.

use musefs_telemetry::logging::Level;

/// An event, how much it matters, and what it means or asks for.
pub type Told = (&'static str, Level, &'static str);

/// All events, by name.
pub const EVENTS: &[Told] = &[
    (
        "allocator.setting.refused",
        Level::Debug,
        "The allocator goes on giving memory back at once, which costs a bit of time.",
    ),
    (
        "command.run.failed",
        Level::Error,
        "The command could not be done; only with `--log-format json`, elsewhere the line begins with `musefs:`.",
    ),
    (
        "control.connection.ended",
        Level::Debug,
        "A command went away before it had its answer.",
    ),
    (
        "control.connection.refused",
        Level::Warn,
        "Too many commands asked the mount at once; ask again.",
    ),
    (
        "control.socket.closed",
        Level::Warn,
        "No command finds the mount any more; it serves on.",
    ),
    (
        "control.socket.failed",
        Level::Warn,
        "`musefs sync` will not find this mount; it serves all the same.",
    ),
    (
        "descriptors.limit.kept",
        Level::Warn,
        "The limit on open files could not be raised.",
    ),
    (
        "descriptors.open.exhausted",
        Level::Error,
        "No file can be opened: raise the limit on open files.",
    ),
    (
        "descriptors.open.recovered",
        Level::Info,
        "Files can be opened again.",
    ),
    (
        "http.address.open",
        Level::Warn,
        "Everybody who reaches the machine may read the metrics: give a token.",
    ),
    (
        "http.connection.ended",
        Level::Debug,
        "A connection over HTTP ended before its answer was taken.",
    ),
    (
        "http.connection.refused",
        Level::Debug,
        "A connection over HTTP could not be taken: raise the limit on open files.",
    ),
    (
        "kernel.capability.missing",
        Level::Info,
        "This kernel lacks something; the mount is a bit slower.",
    ),
    (
        "kernel.invalidation.refused",
        Level::Debug,
        "The kernel did not know what it was to forget.",
    ),
    (
        "kernel.passthrough.off",
        Level::Info,
        "The kernel does not read files itself, and why.",
    ),
    (
        "kernel.setting.chosen",
        Level::Info,
        "What the kernel was told to make the mount faster, and what came of it.",
    ),
    (
        "library.message.said",
        Level::Error,
        "What a library that musefs uses has to say, at any level; `target` names the library.",
    ),
    (
        "log.filter.refused",
        Level::Warn,
        "`MUSEFS_LOG` or `RUST_LOG` cannot be understood; mend it.",
    ),
    (
        "mount.point.busy",
        Level::Warn,
        "The mount is to end and is in use; it serves for a few seconds more.",
    ),
    (
        "mount.point.cleaned",
        Level::Warn,
        "A killed musefs had left its mountpoint behind.",
    ),
    (
        "mount.point.covered",
        Level::Warn,
        "Something is mounted over the mount: unmount that first.",
    ),
    (
        "mount.thread.stuck",
        Level::Warn,
        "At the end a disk or network did not answer.",
    ),
    (
        "otlp.end.unanswered",
        Level::Warn,
        "The collector did not answer at the end; the last numbers and operations are lost.",
    ),
    (
        "otlp.send.failed",
        Level::Warn,
        "The collector is away, or does not take what it gets; nothing else waits for it.",
    ),
    (
        "otlp.send.recovered",
        Level::Info,
        "The collector takes what it gets again.",
    ),
    (
        "pool.thread.not_replaced",
        Level::Warn,
        "The system has no further thread; requests wait longer.",
    ),
    (
        "process.mounts.unreadable",
        Level::Warn,
        "Without `/proc`, musefs mounts are not told from other directories.",
    ),
    (
        "push.consent.refused",
        Level::Warn,
        "`DO_NOT_TRACK` is set, so no facts are sent.",
    ),
    (
        "push.end.unanswered",
        Level::Warn,
        "The server of facts did not answer at the end; the last ones are lost.",
    ),
    (
        "push.fact.refused",
        Level::Debug,
        "There was no room for a fact.",
    ),
    (
        "push.facts.dropped",
        Level::Warn,
        "Facts were too long to be sent.",
    ),
    ("push.facts.sent", Level::Debug, "Facts were sent."),
    (
        "push.send.failed",
        Level::Warn,
        "The server of facts is away; nothing is lost, they are sent later.",
    ),
    (
        "push.send.postponed",
        Level::Info,
        "The server of facts asked to wait.",
    ),
    (
        "push.server.ended",
        Level::Warn,
        "The server wants no facts any more: take the flag away.",
    ),
    (
        "push.server.gone",
        Level::Info,
        "The server wanted no facts at an earlier time; none are sent.",
    ),
    (
        "push.server.said",
        Level::Info,
        "What the server of facts has to say.",
    ),
    (
        "push.start.failed",
        Level::Warn,
        "No facts are sent, and why.",
    ),
    (
        "refresh.poll.failed",
        Level::Error,
        "Edits are not shown until the store reads again.",
    ),
    (
        "refresh.poll.panicked",
        Level::Error,
        "A fault of musefs, please report it; edits show at the next try.",
    ),
    (
        "refresh.poll.recovered",
        Level::Info,
        "Edits are shown again.",
    ),
    (
        "refresh.thread.gone",
        Level::Error,
        "A fault of musefs, please report it; mount again to see edits.",
    ),
    (
        "refresh.track.left_out",
        Level::Warn,
        "A row of the store cannot be shown: scan again.",
    ),
    (
        "refresh.tree.advanced",
        Level::Debug,
        "The tree has what changed in the store.",
    ),
    (
        "refresh.tree.built",
        Level::Debug,
        "The tree was built anew.",
    ),
    (
        "request.answer.overdue",
        Level::Warn,
        "A disk or network did not answer within `--backing-timeout`; the files `inflight` and `slow` name it.",
    ),
    (
        "request.handler.panicked",
        Level::Error,
        "A fault of musefs, please report it; one request got an error.",
    ),
    (
        "root.look.failed",
        Level::Warn,
        "The system has no thread for looking after the library's directories.",
    ),
    (
        "root.reach.lost",
        Level::Warn,
        "A directory of the library is away or hangs: bring it back.",
    ),
    (
        "root.reach.recovered",
        Level::Info,
        "A directory of the library is back.",
    ),
    (
        "store.blob.gone",
        Level::Error,
        "A picture or the like was deleted while its file was open: open it again.",
    ),
    (
        "store.edit.refused",
        Level::Warn,
        "An edited track cannot be put together; it is served as it is.",
    ),
    (
        "store.file.replaced",
        Level::Info,
        "Another store is at the path; it is shown.",
    ),
    (
        "store.file.restored",
        Level::Info,
        "An older copy of the store is in place; it is shown.",
    ),
    (
        "store.memory.kept",
        Level::Debug,
        "The database engine did not give memory back after the tree was built.",
    ),
    (
        "store.read.failed",
        Level::Error,
        "Files that need the store cannot be opened: see what it says.",
    ),
    (
        "store.read.recovered",
        Level::Info,
        "The store reads again.",
    ),
    (
        "store.row.broken",
        Level::Warn,
        "Somebody wrote into a row what cannot be read: scan again.",
    ),
    (
        "store.scan.unknown",
        Level::Debug,
        "What the store says of the last scan does not read.",
    ),
    (
        "store.sizes.not_kept",
        Level::Warn,
        "The store cannot be written; sizes are computed again at the next start.",
    ),
    (
        "store.watch.ended",
        Level::Warn,
        "Edits are found by polling from now on.",
    ),
    (
        "store.watch.failed",
        Level::Warn,
        "Edits are found by polling.",
    ),
    (
        "textfile.name.unread",
        Level::Warn,
        "node_exporter reads only files that end in `.prom`.",
    ),
    (
        "textfile.write.failed",
        Level::Warn,
        "The file of metrics is not written: see what it says.",
    ),
    (
        "textfile.write.recovered",
        Level::Info,
        "The file of metrics is written again.",
    ),
    (
        "track.dark",
        Level::Warn,
        "A file cannot be served: bring it back, mend its disk, or scan again.",
    ),
    (
        "track.metadata.refused",
        Level::Warn,
        "A file is served as it is: its format has no room for the metadata.",
    ),
    (
        "track.size.mended",
        Level::Warn,
        "The store had a wrong size; nothing to do.",
    ),
];

#[cfg(test)]
mod tests;
