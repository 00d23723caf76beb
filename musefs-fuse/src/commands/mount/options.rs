//! From the flags of `musefs mount` to what the core and the edge are told. A value that makes no sense is wrong usage.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use musefs_core::refresh::TreeConfig;
use musefs_core::serve::{Mode, ServeConfig};
use musefs_core::template::{Fallbacks, Template, known_fields};
use musefs_telemetry::Engine;
use musefs_telemetry::{event_warn, logging};

use super::config;
use crate::adapter::Appearance;
use crate::cli::{MetricsDirectory, ModeArg, MountArgs};
use crate::commands::{Failure, owners};
use crate::files;
use crate::metrics::EdgeMetrics;
use crate::metrics_files::{self, DirectoryName, LINK_NAME, Presentation};
use crate::passthrough::Passthrough;
use crate::textfile::{Held, Textfile};

/// How long the file for the metrics may still be kept by a mount that is ending.
const TEXTFILE_PATIENCE: Duration = Duration::from_secs(6);

fn mode(args: &MountArgs) -> Mode {
    match args.mode {
        ModeArg::Synthesis => Mode::Synthesis,
        ModeArg::StructureOnly => Mode::StructureOnly,
    }
}

/// Whether the kernel is to read files itself.
pub(super) fn passthrough(args: &MountArgs, metrics: &EdgeMetrics) -> Arc<Passthrough> {
    let wanted = match mode(args) {
        Mode::Synthesis => Err("only in structure-only mode"),
        Mode::StructureOnly if args.no_passthrough => Err("--no-passthrough"),
        Mode::StructureOnly if args.no_kernel_cache => Err("--no-kernel-cache"),
        Mode::StructureOnly => Ok(()),
    };
    Passthrough::new(wanted, metrics.counters.passthrough_opens.clone())
}

pub(super) fn tree_config(args: &MountArgs) -> Result<TreeConfig, Failure> {
    let template = Template::parse(&args.template).map_err(Failure::usage)?;
    warn_of_unknown_fields(&template);
    let mut fallbacks = Fallbacks::default();
    fallbacks.default.clone_from(&args.default_fallback);
    fallbacks.skip_on_missing = args.skip_on_missing;
    for fallback in &args.fallback {
        let (field, value) = fallback.split_once('=').ok_or_else(|| {
            Failure::usage(anyhow!("--fallback {fallback}: expected FIELD=VALUE"))
        })?;
        fallbacks.set(field, value);
    }
    let reserved_root_names = directory_name(args)
        .map(|directory| vec![directory.name, LINK_NAME.into()])
        .unwrap_or_default();
    Ok(TreeConfig {
        template,
        fallbacks,
        mode: mode(args),
        reserved_root_names,
    })
}

/// A name with a colon is that of a tag in a file, and nobody can know them all.
fn warn_of_unknown_fields(template: &Template) {
    let unknown: Vec<_> = template.unknown_fields();
    let unknown = || unknown.iter().filter(|field| !field.name.contains(':'));
    let mut stderr = std::io::stderr().lock();
    for field in unknown() {
        let nearest = field
            .nearest
            .map(|nearest| format!(" Did you mean `{nearest}`?"))
            .unwrap_or_default();
        writeln!(
            stderr,
            "musefs: warning: the template's field `{}` (column {}) is none of the known ones; only files with a tag of \
             exactly that name have it.{nearest}",
            field.name, field.column,
        )
        .ok();
    }
    if unknown().next().is_some() {
        let known: Vec<&str> = known_fields().collect();
        writeln!(stderr, "Known fields: {}", known.join(" ")).ok();
    }
}

pub(super) fn serve_config(args: &MountArgs, store_connections: usize) -> ServeConfig {
    const MIB: u64 = 1 << 20;
    ServeConfig {
        mode: mode(args),
        header_cache_bytes_max: u64::from(args.header_cache_mib) * MIB,
        readahead_bytes_max: u64::from(args.readahead_mib) * MIB,
        dir_handles_max: args.dir_handles_max,
        store_connections,
    }
}

/// How the metrics directory appears at `mountpoint`, with the catalogue of `engine`.
pub(super) fn presentation(
    args: &MountArgs,
    mountpoint: &Path,
    engine: &Engine,
) -> Result<Presentation, Failure> {
    Ok(Presentation {
        directory: directory_name(args),
        identity: identity(args, mountpoint, engine)?,
        config: config::text(args),
    })
}

fn directory_name(args: &MountArgs) -> Option<DirectoryName> {
    match &args.metrics_dir {
        MetricsDirectory::Off => None,
        MetricsDirectory::Name(name) => Some(DirectoryName {
            name: name.clone(),
            hidden: args.metrics_hidden,
        }),
    }
}

/// The labels that tell this mount's samples from another's.
fn identity(
    args: &MountArgs,
    mountpoint: &Path,
    engine: &Engine,
) -> Result<Vec<(String, String)>, Failure> {
    let own_labels = metrics_files::own_labels(engine);
    let mut labels = args.metrics_label.clone();
    for (index, (key, _)) in labels.iter().enumerate() {
        if labels[..index].iter().any(|(before, _)| before == key) {
            return Err(Failure::usage(anyhow!(
                "--metrics-label {key}: given twice"
            )));
        }
        if own_labels.iter().any(|own| own == key) {
            return Err(Failure::usage(anyhow!(
                "--metrics-label {key}: samples have a label of that name already; choose another"
            )));
        }
    }
    if labels.iter().all(|(key, _)| key != "mount") {
        labels.insert(0, ("mount".into(), escaped(mountpoint)));
    }
    Ok(labels)
}

/// The file that is kept equal to the metrics of a mount at `mountpoint`.
pub(super) fn textfile(args: &MountArgs, mountpoint: &Path) -> Result<Option<Textfile>, Failure> {
    let Some(path) = &args.metrics_textfile else {
        return Ok(None);
    };
    let user = |name: &String| owners::user(name, "--metrics-textfile-owner");
    let group = |name: &String| owners::group(name, "--metrics-textfile-group");
    let file = Textfile {
        path: std::path::absolute(path).unwrap_or_else(|_| path.clone()),
        mode: args.metrics_textfile_mode,
        uid: args.metrics_textfile_owner.as_ref().map(user).transpose()?,
        gid: args
            .metrics_textfile_group
            .as_ref()
            .map(group)
            .transpose()?,
        held: Held::default(),
    };
    files::refuse_inside_musefs(&file.path, "--metrics-textfile")?;
    refuse_at(mountpoint, &file.path, "--metrics-textfile")?;
    file.check()?;
    file.await_free(TEXTFILE_PATIENCE)?;
    if !file.is_collected() {
        event_warn!(
            logging::admin(),
            "textfile.name.unread",
            message = "a file of metrics does not end in .prom: node_exporter reads only files that do",
            path = %path.display(),
        );
    }
    Ok(Some(file))
}

/// Refuses a file at a mountpoint, under which it would be hidden.
pub(super) fn refuse_at(mountpoint: &Path, path: &Path, what: &str) -> Result<(), Failure> {
    let directory = path
        .parent()
        .and_then(|directory| directory.canonicalize().ok());
    if directory.is_some_and(|directory| directory.starts_with(mountpoint)) {
        return Err(Failure::usage(anyhow!(
            "{what} {}: lies at the mountpoint {}, where nothing can be written; give a path outside of it",
            path.display(),
            mountpoint.display()
        )));
    }
    Ok(())
}

/// `path` as text; bytes that are not UTF-8 as `\xNN`, so that two paths never give one text.
fn escaped(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("a string takes any text");
        }
    }
    text
}

pub(super) fn appearance(args: &MountArgs) -> Result<Appearance, Failure> {
    let uid = match &args.owner {
        None => nix::unistd::getuid().as_raw(),
        Some(owner) => owners::user(owner, "--owner")?,
    };
    let gid = match &args.group {
        None => nix::unistd::getgid().as_raw(),
        Some(name) => owners::group(name, "--group")?,
    };
    Ok(Appearance {
        uid,
        gid,
        file_mode: args.file_mode,
        dir_mode: args.dir_mode,
        ttl: if args.no_kernel_cache {
            Duration::ZERO
        } else {
            Duration::from_millis(args.attr_ttl_ms)
        },
        keeps_bytes: !args.no_kernel_cache,
    })
}
