//! What the rows need: programs, libraries, stores made of them, and mounts of those.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::corpus::{self, Library, TEMPLATE};
use crate::mounted::{self, As, Mounted};
use crate::row::{COLUMNS, Cell, Column, Row};

/// What is run.
#[derive(Debug, Clone)]
pub struct Programs {
    pub ours: PathBuf,
    /// The same without telemetry.
    pub silent: Option<PathBuf>,
    pub floor: PathBuf,
    pub theirs: Option<PathBuf>,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Amounts {
    /// How often each thing is done.
    pub runs: usize,
    /// How often where two are compared in turn.
    pub pairs: usize,
    /// Reads of each job.
    pub random_reads: u64,
    /// Opens in a row.
    pub opens: u32,
    /// Files that are read whole.
    pub whole_files: usize,
    /// Tracks that get new tags at once.
    pub retagged: usize,
    /// What a program may need to give memory back after a change.
    pub settling: Duration,
}

/// All of that, and what was measured so far.
pub struct Bench {
    pub programs: Programs,
    pub amounts: Amounts,
    pub many: Library,
    pub large: Library,
    pub work: PathBuf,
    /// Patterns of row names; none means all.
    pub wanted: Vec<String>,
    pub rows: Vec<Row>,
}

impl Bench {
    /// Whether one of these rows was asked for.
    pub fn wants(&self, ids: &[&str]) -> bool {
        self.wanted.is_empty()
            || ids.iter().any(|id| {
                self.wanted
                    .iter()
                    .any(|pattern| matches_glob(pattern.as_bytes(), id.as_bytes()))
            })
    }

    /// Takes a row, when it was asked for.
    pub fn push(&mut self, row: Row) {
        if self.wants(&[row.id]) {
            let said = COLUMNS.map(|column| match row.cell(column) {
                Cell::Samples(_) => format!(
                    "{} {:.3}",
                    column.name(),
                    row.cell(column).median().unwrap_or(f64::NAN)
                ),
                Cell::Reason(reason) => format!("{} {reason}", column.name()),
            });
            eprintln!("  {} ({}): {}", row.what, row.unit.text(), said.join(", "));
            self.rows.push(row);
        }
    }

    /// The program of a column; none for the files themselves, a reason where there is none.
    pub fn program(&self, column: Column) -> anyhow::Result<&Path> {
        match column {
            Column::Native => bail!("—"),
            Column::Floor => Ok(&self.programs.floor),
            Column::Ours => Ok(&self.programs.ours),
            Column::Theirs => self.programs.theirs.as_deref().context("—"),
        }
    }

    /// Scans a library into a new store, which replaces one of that name; how long that took, in seconds.
    pub fn scan(&self, program: &Path, library: &Library, store: &Path) -> anyhow::Result<f64> {
        for ending in ["", "-wal", "-shm"] {
            fs::remove_file(with_ending(store, ending)).ok();
        }
        self.scan_again(program, library, store)
    }

    /// Scans a library into the store that is there.
    pub fn scan_again(
        &self,
        program: &Path,
        library: &Library,
        store: &Path,
    ) -> anyhow::Result<f64> {
        let log = self.work.join("scan.log");
        let arguments = [
            OsString::from("scan"),
            library.dir.clone().into(),
            "--db".into(),
            store.into(),
        ];
        let start = std::time::Instant::now();
        let status = mounted::command(program, &arguments, As::Self_)
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .status()
            .with_context(|| program.display().to_string())?;
        let seconds = start.elapsed().as_secs_f64();
        ensure!(
            status.success(),
            "the scan failed: {}",
            fs::read_to_string(&log)?.lines().last().unwrap_or_default()
        );
        Ok(seconds)
    }

    /// The store of a library that a program made, made now if it is not there.
    pub fn store(&self, column: Column, library: &Library) -> anyhow::Result<PathBuf> {
        let store = self
            .work
            .join(format!("{}-{}.db", library.name, column.name()));
        if !store.exists() {
            self.scan(self.program(column)?, library, &store)?;
        }
        Ok(store)
    }

    /// A copy of that store, for a row that edits it.
    pub fn store_to_edit(&self, column: Column, library: &Library) -> anyhow::Result<PathBuf> {
        let store = self.store(column, library)?;
        let copy = with_ending(&store, ".edited");
        for ending in ["", "-wal", "-shm"] {
            let (from, to) = (with_ending(&store, ending), with_ending(&copy, ending));
            fs::remove_file(&to).ok();
            if from.exists() {
                fs::copy(from, to)?;
            }
        }
        Ok(copy)
    }

    /// Mounts a library as the program of a column does it.
    pub fn mount(&self, column: Column, library: &Library) -> anyhow::Result<Mounted> {
        if column == Column::Floor {
            return self.mount_floor(library, As::Self_);
        }
        let store = self.store(column, library)?;
        self.mount_store(self.program(column)?, &store, library, As::Self_, &[])
    }

    /// Mounts the floor, in the shape of a library.
    pub fn mount_floor(&self, library: &Library, who: As) -> anyhow::Result<Mounted> {
        let at = self.mountpoint("floor", who)?;
        let arguments = [at.clone().into(), library.dir.clone().into()];
        let mut command = mounted::command(&self.programs.floor, &arguments, who);
        Mounted::start(
            &mut command,
            &at,
            &first_of(library),
            &self.work.join("mount.log"),
        )
    }

    /// Mounts a store with any musefs and more flags.
    pub fn mount_store(
        &self,
        program: &Path,
        store: &Path,
        library: &Library,
        who: As,
        flags: &[&str],
    ) -> anyhow::Result<Mounted> {
        let name = program
            .file_name()
            .context("no program")?
            .to_string_lossy()
            .into_owned();
        let at = self.mountpoint(&name, who)?;
        let mut arguments = vec![
            OsString::from("mount"),
            at.clone().into(),
            "--db".into(),
            store.into(),
            "--template".into(),
            TEMPLATE.into(),
        ];
        arguments.extend(flags.iter().map(OsString::from));
        Mounted::start(
            &mut mounted::command(program, &arguments, who),
            &at,
            &first_of(library),
            &self.work.join(format!("mount-{name}.log")),
        )
    }

    fn mountpoint(&self, name: &str, who: As) -> anyhow::Result<PathBuf> {
        let whose = if who == As::Nobody { "-of-nobody" } else { "" };
        let at = self.work.join(format!("mount-{name}{whose}"));
        fs::create_dir_all(&at)?;
        if who == As::Nobody {
            mounted::give_to_nobody(&at)?;
        }
        Ok(at)
    }

    /// Does something `runs` times.
    pub fn repeat(
        &self,
        mut measure: impl FnMut() -> anyhow::Result<f64>,
    ) -> anyhow::Result<Vec<f64>> {
        (0..self.amounts.runs).map(|_| measure()).collect()
    }
}

/// `path` with something after its name.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// What a mount of the library has in its root.
fn first_of(library: &Library) -> String {
    if library.tracks == 1 {
        "Artist".into()
    } else {
        corpus::names(0).artist
    }
}

/// Whether a name fits a pattern, in which `*` stands for anything and `?` for one byte.
fn matches_glob(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches_glob(rest, name)
                || name
                    .split_first()
                    .is_some_and(|(_, name)| matches_glob(pattern, name))
        }
        (Some((b'?', pattern)), Some((_, name))) => matches_glob(pattern, name),
        (Some((wanted, pattern)), Some((is, name))) if wanted == is => matches_glob(pattern, name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::matches_glob;

    #[test]
    fn patterns_select_rows_as_a_shell_would() {
        for (pattern, name, fits) in [
            ("walk*", "walk-first", true),
            ("*-first", "walk-first", true),
            ("walk", "walk-first", false),
            ("w?lk-*t", "walk-first", true),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(
                matches_glob(pattern.as_bytes(), name.as_bytes()),
                fits,
                "{pattern} {name}"
            );
        }
    }
}
