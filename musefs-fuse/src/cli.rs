//! The command line: flags and their environment variables, and nothing else. What they mean is decided by the commands.

mod given;
mod metrics;
mod stats;
mod store;
mod trace;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use musefs_core::template::DEFAULT_TEMPLATE;

pub use self::given::{Given, Origin};
pub use self::metrics::{
    CheckArgs, FormatArg, ListArgs, MetricsArgs, MetricsCommand, PrintArgs, TextFormatArg,
    TextfileArgs,
};
pub use self::stats::StatsArgs;
pub use self::store::{RevalidateArgs, StatusArgs, TagArgs};
pub use self::trace::{ProfileArgs, TraceArgs};

/// Done.
pub const EXIT_DONE: u8 = 0;
/// Could not do it.
pub const EXIT_FAILED: u8 = 1;
/// Done, but some files failed.
pub const EXIT_SOME_FAILED: u8 = 2;
/// Wrong usage, by the convention of sysexits.h.
pub const EXIT_USAGE: u8 = 64;
/// Interrupted, by the convention of shells for SIGINT.
pub const EXIT_INTERRUPTED: u8 = 130;

/// Shows a music library re-tagged and reorganised, without changing or copying a byte of it.
#[derive(Debug, Parser)]
#[command(name = "musefs", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line of this process.
    ///
    /// # Errors
    /// When it makes no sense, or asks for help.
    pub fn of_process() -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(std::env::args_os())?;
        let mut cli = Self::from_arg_matches(&matches)?;
        if let (Command::Mount(args), Some((name, matches))) =
            (&mut cli.command, matches.subcommand())
        {
            let mount = command
                .find_subcommand(name)
                .expect("it was just parsed by that name");
            args.given = given::all(mount, matches);
        }
        Ok(cli)
    }
}

const EXAMPLES: &str = "\
Examples:
  musefs scan ~/Music --db ~/music.db
  musefs mount /mnt/music --db ~/music.db --template '$albumartist/[$year - ]$album/[$track ]$title'
  musefs tag /mnt/music/Abba set genre=Pop
  musefs metrics /mnt/music

Exit codes: 0 done, 1 could not, 2 done but some files failed, 64 wrong usage, 130 interrupted.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read the tags of music files into a store
    Scan(ScanArgs),
    /// Serve a scanned library as a read-only filesystem
    Mount(Box<MountArgs>),
    /// Tell what is read, kept and written of each format
    Formats(FormatsArgs),
    /// Wait until a mount shows every change made to its store
    Sync(SyncArgs),
    /// Tell which operations of a mount took long, and why; or set from how long on that is
    Slow(SlowArgs),
    /// Tell of single operations of a mount, those that were kept or as they complete
    Trace(TraceArgs),
    /// Watch a mount for a while and say where its time went
    Profile(ProfileArgs),
    /// Tell what a store holds, how the last scan went, and where it is mounted
    Status(StatusArgs),
    /// Show and edit tags in the store; the audio files stay as they are
    Tag(TagArgs),
    /// Look again at the files that were scanned, without looking for others
    Revalidate(RevalidateArgs),
    /// Print the metrics of a mount, check a text of metrics, copy it for a collector
    Metrics(MetricsArgs),
    /// Show what a mount does, in the terminal
    Stats(StatsArgs),
}

/// `musefs formats`.
#[derive(Debug, Args)]
pub struct FormatsArgs {
    /// For programs: one JSON object
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// As a page of documentation, with the names of all tags
    #[arg(long)]
    pub markdown: bool,
}

/// `musefs sync`.
#[derive(Debug, Args)]
pub struct SyncArgs {
    /// The mount, or anything in it
    #[arg(value_name = "MOUNT")]
    pub mount: PathBuf,
    /// How long to wait at most
    #[arg(
        long,
        value_name = "SECS",
        env = "MUSEFS_SYNC_TIMEOUT",
        default_value = "30"
    )]
    pub timeout: u32,
}

/// `musefs slow`.
#[derive(Debug, Args)]
pub struct SlowArgs {
    /// The mount, or anything in it
    #[arg(value_name = "MOUNT")]
    pub mount: PathBuf,
    /// From how long on operations are slow, until the mount ends; `auto` follows what most take
    #[arg(long, value_name = "MS|auto", value_parser = slow_from)]
    pub threshold_ms: Option<SlowFrom>,
}

/// From how long on operations are slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowFrom {
    /// Longer than 99 of 100 take, from a tenth of a second to one.
    Auto,
    /// So long.
    Milliseconds(u64),
}

/// `musefs scan`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct ScanArgs {
    /// Directories and files to scan
    #[arg(required = true, value_name = "TARGETS")]
    pub targets: Vec<PathBuf>,
    /// The store; made if it does not exist
    #[arg(long, value_name = "FILE", env = "MUSEFS_DB")]
    pub db: PathBuf,
    /// Files read at once [default: one per core]
    #[arg(long, value_name = "N", env = "MUSEFS_JOBS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Read every file, also those that have not changed since the last scan
    #[arg(long, env = "MUSEFS_FORCE", value_parser = FalseyValueParser::new())]
    pub force: bool,
    /// Follow symbolic links
    #[arg(long, env = "MUSEFS_FOLLOW_SYMLINKS", value_parser = FalseyValueParser::new())]
    pub follow_symlinks: bool,
    /// Leave out duration, bitrate and the like where reading them costs a pass of its own
    #[arg(long, env = "MUSEFS_NO_PROPERTIES", value_parser = FalseyValueParser::new())]
    pub no_properties: bool,
    /// Print nothing but errors
    #[arg(short, long, env = "MUSEFS_QUIET", value_parser = FalseyValueParser::new())]
    pub quiet: bool,
}

/// What the files of a mount hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// Metadata of the store in front of the untouched audio
    Synthesis,
    /// The files' own bytes, in the new tree
    StructureOnly,
}

/// `musefs mount`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct MountArgs {
    /// An empty directory
    pub mountpoint: PathBuf,
    /// The store that `musefs scan` made
    #[arg(long, value_name = "FILE", env = "MUSEFS_DB")]
    pub db: PathBuf,

    /// Path of a track: $field, ${a|b}, [ sections dropped when a field is missing ], $!{field} keeps `/`, $[ $] $$
    #[arg(long, env = "MUSEFS_TEMPLATE", default_value = DEFAULT_TEMPLATE, help_heading = "Tree")]
    pub template: String,
    /// What stands for a field that is missing
    #[arg(
        long,
        value_name = "FIELD=VALUE",
        env = "MUSEFS_FALLBACK",
        help_heading = "Tree"
    )]
    pub fallback: Vec<String>,
    /// What stands for any other field that is missing
    #[arg(
        long,
        value_name = "VALUE",
        env = "MUSEFS_DEFAULT_FALLBACK",
        default_value = "Unknown",
        help_heading = "Tree"
    )]
    pub default_fallback: String,
    /// Leave out tracks that lack a field, unless it has a fallback of its own
    #[arg(long, env = "MUSEFS_SKIP_ON_MISSING", value_parser = FalseyValueParser::new(), help_heading = "Tree")]
    pub skip_on_missing: bool,
    /// What the files hold
    #[arg(
        long,
        value_enum,
        env = "MUSEFS_MODE",
        default_value = "synthesis",
        help_heading = "Tree"
    )]
    pub mode: ModeArg,
    /// Print the tree and do not mount it
    #[arg(long, env = "MUSEFS_DRY_RUN", value_parser = FalseyValueParser::new(), help_heading = "Tree")]
    pub dry_run: bool,

    /// Let other users use the mount
    #[arg(long, env = "MUSEFS_ALLOW_OTHER", value_parser = FalseyValueParser::new(), help_heading = "Access")]
    pub allow_other: bool,
    /// Owner of all files: a name or a number [default: who mounts]
    #[arg(
        long,
        value_name = "USER",
        env = "MUSEFS_OWNER",
        help_heading = "Access"
    )]
    pub owner: Option<String>,
    /// Group of all files: a name or a number [default: that of who mounts]
    #[arg(
        long,
        value_name = "GROUP",
        env = "MUSEFS_GROUP",
        help_heading = "Access"
    )]
    pub group: Option<String>,
    /// Permission bits of files
    #[arg(long, value_name = "OCTAL", env = "MUSEFS_FILE_MODE", default_value = "444", value_parser = octal, help_heading = "Access")]
    pub file_mode: u16,
    /// Permission bits of directories
    #[arg(long, value_name = "OCTAL", env = "MUSEFS_DIR_MODE", default_value = "555", value_parser = octal, help_heading = "Access")]
    pub dir_mode: u16,
    /// Clean up the mountpoint that a killed musefs left behind, then mount
    #[arg(long, env = "MUSEFS_REMOUNT", value_parser = FalseyValueParser::new(), help_heading = "Access")]
    pub remount: bool,

    /// How long the kernel answers for names and attributes itself; it is told of changes at once all the same
    #[arg(
        long,
        value_name = "MS",
        env = "MUSEFS_ATTR_TTL_MS",
        default_value = "60000",
        help_heading = "Serving"
    )]
    pub attr_ttl_ms: u64,
    /// How often to look for edits of the store
    #[arg(
        long,
        value_name = "MS",
        env = "MUSEFS_POLL_INTERVAL_MS",
        default_value = "1000",
        value_parser = clap::value_parser!(u64).range(10..),
        help_heading = "Serving"
    )]
    pub poll_interval_ms: u64,
    /// Threads that take requests [default: one per core, at least 2]
    #[arg(long, value_name = "N", env = "MUSEFS_EVENT_LOOPS", value_parser = clap::value_parser!(u16).range(1..=64), help_heading = "Serving")]
    pub event_loops: Option<u16>,
    /// Threads that wait for disks and networks [default: four per core, at least 8]
    #[arg(long, value_name = "N", env = "MUSEFS_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Serving")]
    pub workers: Option<u16>,
    /// Reads that may wait for those threads; further ones are parked
    #[arg(
        long,
        value_name = "N",
        env = "MUSEFS_READS_INFLIGHT_MAX",
        default_value = "1024",
        value_parser = clap::value_parser!(u32).range(1..=65_536),
        help_heading = "Serving"
    )]
    pub reads_inflight_max: u32,
    /// Directories that may be open with a listing of their own; further ones are listed without
    #[arg(
        long,
        value_name = "N",
        env = "MUSEFS_DIR_HANDLES_MAX",
        default_value = "4096",
        help_heading = "Serving"
    )]
    pub dir_handles_max: u64,
    /// Memory for the headers of files that were opened
    #[arg(
        long,
        value_name = "MIB",
        env = "MUSEFS_HEADER_CACHE_MIB",
        default_value = "64",
        value_parser = clap::value_parser!(u32).range(1..=65_536),
        help_heading = "Serving"
    )]
    pub header_cache_mib: u32,
    /// Memory for reading ahead of sequential readers where the disk must be waited for; 0 is off
    #[arg(
        long,
        value_name = "MIB",
        env = "MUSEFS_READAHEAD_MIB",
        default_value = "64",
        value_parser = clap::value_parser!(u32).range(0..=65_536),
        help_heading = "Serving"
    )]
    pub readahead_mib: u32,
    /// How far the kernel reads ahead of sequential readers, where musefs is permitted to say; 0 leaves it as it is
    #[arg(
        long,
        value_name = "KIB",
        env = "MUSEFS_KERNEL_READAHEAD_KIB",
        default_value = "4096",
        value_parser = clap::value_parser!(u32).range(0..=1_048_576),
        help_heading = "Serving"
    )]
    pub kernel_readahead_kib: u32,
    /// In structure-only mode, have every read go through musefs, also where the kernel could read the files itself
    #[arg(long, env = "MUSEFS_NO_PASSTHROUGH", value_parser = FalseyValueParser::new(), help_heading = "Serving")]
    pub no_passthrough: bool,
    /// How long a disk or network may take before a request is answered with an error
    #[arg(long, value_name = "SECONDS", env = "MUSEFS_BACKING_TIMEOUT", default_value = "30", value_parser = seconds, help_heading = "Serving")]
    pub backing_timeout: Duration,
    /// Let the kernel remember nothing, so that every request reaches musefs: for tests and for finding faults
    #[arg(long, env = "MUSEFS_NO_KERNEL_CACHE", value_parser = FalseyValueParser::new(), help_heading = "Serving")]
    pub no_kernel_cache: bool,

    /// Name of the metrics directory at the root, or `off`
    #[arg(long, value_name = "NAME|off", env = "MUSEFS_METRICS_DIR", default_value = ".musefs-metrics", value_parser = metrics_directory, help_heading = "Metrics")]
    pub metrics_dir: MetricsDirectory,
    /// Leave the metrics directory out of listings; it is still there by name
    #[arg(long, env = "MUSEFS_METRICS_HIDDEN", value_parser = FalseyValueParser::new(), help_heading = "Metrics")]
    pub metrics_hidden: bool,
    /// A label on every sample of metrics.prom; `mount`, the mountpoint, is there unless given
    #[arg(long, value_name = "KEY=VALUE", env = "MUSEFS_METRICS_LABEL", value_parser = metrics_label, help_heading = "Metrics")]
    pub metrics_label: Vec<(String, String)>,
    /// From how long on operations are in the file `slow`; `auto` is longer than 99 of 100 take, from 100 to 1000
    #[arg(long, value_name = "MS|auto", env = "MUSEFS_SLOW_MS", default_value = "auto", value_parser = slow_from, help_heading = "Metrics")]
    pub slow_ms: SlowFrom,
    /// A file, outside of the mount, that is kept equal to metrics.prom, for a collector of such files
    #[arg(
        long,
        value_name = "PATH",
        env = "MUSEFS_METRICS_TEXTFILE",
        help_heading = "Metrics"
    )]
    pub metrics_textfile: Option<PathBuf>,
    /// How often that file is written
    #[arg(long, value_name = "SECS", env = "MUSEFS_METRICS_TEXTFILE_INTERVAL", default_value = "15", value_parser = seconds, help_heading = "Metrics")]
    pub metrics_textfile_interval: Duration,
    /// Permission bits of that file
    #[arg(long, value_name = "OCTAL", env = "MUSEFS_METRICS_TEXTFILE_MODE", default_value = "644", value_parser = octal, help_heading = "Metrics")]
    pub metrics_textfile_mode: u16,
    /// Owner of that file: a name or a number [default: who mounts]
    #[arg(
        long,
        value_name = "USER",
        env = "MUSEFS_METRICS_TEXTFILE_OWNER",
        help_heading = "Metrics"
    )]
    pub metrics_textfile_owner: Option<String>,
    /// Group of that file: a name or a number [default: that of who mounts]
    #[arg(
        long,
        value_name = "GROUP",
        env = "MUSEFS_METRICS_TEXTFILE_GROUP",
        help_heading = "Metrics"
    )]
    pub metrics_textfile_group: Option<String>,

    /// Every flag and what it is, for whoever asks the mount.
    #[arg(skip)]
    pub given: Vec<Given>,
}

/// Where the metrics are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsDirectory {
    /// Nowhere.
    Off,
    /// In the directory of this name at the root.
    Name(String),
}

fn octal(text: &str) -> Result<u16, String> {
    u16::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| "expected three octal digits, such as 444".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse::<f64>()
        .ok()
        .filter(|seconds| (0.1..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "expected seconds, from 0.1 to 86400".into())
}

fn slow_from(text: &str) -> Result<SlowFrom, String> {
    if text == "auto" {
        return Ok(SlowFrom::Auto);
    }
    text.parse()
        .ok()
        .filter(|milliseconds| (1..=86_400_000).contains(milliseconds))
        .map(SlowFrom::Milliseconds)
        .ok_or_else(|| "expected milliseconds, from 1 to 86400000, or `auto`".into())
}

fn metrics_directory(text: &str) -> Result<MetricsDirectory, String> {
    let bad = text.is_empty()
        || text.contains(['/', '\0'])
        || text == "."
        || text == ".."
        || text.len() > 255;
    match text {
        "off" => Ok(MetricsDirectory::Off),
        crate::metrics_files::LINK_NAME => {
            Err("that name belongs to the link to the directory".into())
        }
        _ if bad => Err("expected the name of a directory, without `/`".into()),
        name => Ok(MetricsDirectory::Name(name.into())),
    }
}

fn metrics_label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    if musefs_telemetry::encode::prometheus::is_label_name(key) {
        Ok((key.into(), value.into()))
    } else {
        Err(format!(
            "`{key}` is no label name: letters, digits and `_`, not starting with a digit or `__`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_of_mount_has_an_environment_variable() {
        let command = Cli::command();
        let mount = command.find_subcommand("mount").unwrap();
        for flag in mount
            .get_arguments()
            .filter(|argument| argument.get_long().is_some())
        {
            let long = flag.get_long().unwrap();
            if long == "help" {
                continue;
            }
            let expected = format!("MUSEFS_{}", long.replace('-', "_").to_uppercase());
            assert_eq!(
                flag.get_env().and_then(|name| name.to_str()),
                Some(&*expected),
                "--{long}"
            );
        }
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        let parse = |flag: &str, value: &str| {
            Cli::try_parse_from(["musefs", "mount", "/m", "--db", "/d", flag, value]).map(|_| ())
        };
        for (flag, value) in [
            ("--file-mode", "888"),
            ("--backing-timeout", "0"),
            ("--backing-timeout", "nan"),
            ("--metrics-dir", "a/b"),
            ("--metrics-dir", ".metrics"),
            ("--metrics-label", "novalue"),
            ("--metrics-label", "9a=b"),
            ("--event-loops", "0"),
            ("--slow-ms", "0"),
            ("--slow-ms", "1.5"),
        ] {
            assert!(parse(flag, value).is_err(), "{flag} {value}");
        }
        parse("--metrics-dir", "off").unwrap();
        parse("--metrics-label", "host=nas").unwrap();
    }
}
