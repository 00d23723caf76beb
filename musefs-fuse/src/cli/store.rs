//! The flags of the commands that ask and edit a store. None but the store itself comes from the environment: what deletes or
//! spares somebody's edits is said each time.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

/// `musefs status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// A mount of the store, or anything in it; counts before --db
    #[arg(value_name = "MOUNT", required_unless_present = "db")]
    pub mount: Option<PathBuf>,
    /// The store
    #[arg(long, value_name = "FILE", env = "MUSEFS_DB")]
    pub db: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `musefs tag`.
#[derive(Debug, Args)]
#[command(override_usage = "musefs tag [OPTIONS] WHERE… [get [KEY…] | set KEY=VALUE… | add KEY=VALUE… | rm KEY[=VALUE]… | diff | revert]
       musefs tag [--db FILE] [--dry-run] --from FILE", after_help = TAG_HELP)]
pub struct TagArgs {
    /// Which tracks, a verb, and what it is to do
    #[arg(value_name = "WHERE… VERB", required_unless_present_any = ["from", "all"])]
    pub words: Vec<OsString>,
    /// The store [default: that of the mount that a path lies in]
    #[arg(long, value_name = "FILE", env = "MUSEFS_DB")]
    pub db: Option<PathBuf>,
    /// Every track of the store, where there is no WHERE
    #[arg(long)]
    pub all: bool,
    /// Print what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// `get` prints JSON: an array of {path, served, track, tags: {key: list of values}}
    #[arg(long)]
    pub json: bool,
    /// Give tracks the tags of such JSON; a key with no value is taken away, one that is left out stays; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
}

const TAG_HELP: &str = "\
WHERE is a file or directory in a mount, an audio file or directory that was scanned, or a condition: \
key:value (the whole value) or key:~text (a part of it), whatever the case. All conditions must hold, at any of the paths.

  get     print the tags (without a verb too), or only those keys
  set     these values and no others; a key given twice has two values, `key=` has an empty one
  add     one more value
  rm      take a key away, or one value of it
  diff    what the store has (+) other than the file itself (-)
  revert  give up all edits: the file's own tags, pictures and items again

An edit is one transaction, and every mount of the store shows it when the command returns.

Examples:
  musefs tag /mnt/music/Abba
  musefs tag /mnt/music/Abba album:~arrival set genre=Pop genre=Disco --dry-run
  musefs tag --db ~/music.db --all get --json >tags.json
  musefs tag --db ~/music.db --from tags.json

Exit codes: 0 done, 1 could not and changed nothing, 2 done but a file could not be read or a mount does not show it yet, \
64 wrong usage.";

/// `musefs revalidate`.
#[derive(Debug, Args)]
#[command(after_help = REVALIDATE_HELP)]
pub struct RevalidateArgs {
    /// Files and directories that were scanned [default: all]
    #[arg(value_name = "TARGETS")]
    pub targets: Vec<PathBuf>,
    /// The store
    #[arg(long, value_name = "FILE", env = "MUSEFS_DB")]
    pub db: PathBuf,
    /// Forget the files that are gone, and their edits; refused where nothing of a root is there
    #[arg(long)]
    pub prune: bool,
    /// With --prune: forget also where nothing of a root is there
    #[arg(long, requires = "prune")]
    pub force: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

const REVALIDATE_HELP: &str = "\
Files that changed are read again; edits stay. A file that was moved is found, with its edits, by `musefs scan`: scan before \
you prune.

Exit codes: 0 all files are as they should be, 1 could not, 2 some are gone, cannot be read or taken apart, 64 wrong usage, \
130 interrupted.";
