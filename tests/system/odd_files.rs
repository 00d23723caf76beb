//! Files that are broken, lie about themselves, or hold what few files hold: each is listed, and reads to its end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::library::Library;
use crate::support::mount::Mount;
use crate::support::process::run;
use crate::support::python::python;

fn odd_files() -> Vec<PathBuf> {
    let odd = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/odd");
    let mut files: Vec<PathBuf> = std::fs::read_dir(odd)
        .expect("the odd files are there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

fn names(directory: &Path) -> BTreeSet<String> {
    std::fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("a name in UTF-8"))
        .filter(|name| !name.starts_with('.'))
        .collect()
}

#[test]
fn every_odd_file_is_listed_and_reads_to_its_end() {
    require_fuse!();
    let library = Library::new();
    for file in odd_files() {
        let name = file.file_name().expect("a name");
        std::fs::copy(&file, library.music().join(name)).expect("a library is writable");
    }
    let scan = library.try_scan(&[]);
    assert_eq!(scan.code, Some(2), "{scan:?}");
    scan.is_calm();
    assert!(!scan.text().contains("panicked"), "{}", scan.text());
    assert!(!scan.text().contains("no_layout"), "{}", scan.text());

    let mount = Mount::with(&library, &["--template", "$filename"]);
    assert_eq!(names(mount.path()), names(&library.music()));
    let failed: BTreeSet<String> = {
        let store = library.store();
        let mut rows = store
            .prepare("SELECT CAST(path AS TEXT) FROM tracks WHERE failure IS NOT NULL")
            .expect("a statement");
        rows.query_map([], |row| row.get(0))
            .expect("rows")
            .collect::<Result<_, _>>()
            .expect("rows")
    };
    assert!(
        failed.contains("jpeg.mp3") && !failed.contains("id3v1.mp3"),
        "{failed:?}"
    );
    for name in names(mount.path()) {
        let served = mount.join(&name);
        let size = std::fs::metadata(&served).expect(&name).len();
        let bytes = std::fs::read(&served).expect(&name);
        assert_eq!(bytes.len() as u64, size, "{name}");
        if failed.contains(&name) {
            let backing = std::fs::read(library.music().join(&name)).expect(&name);
            assert!(bytes == backing, "{name} is served as it is");
        }
    }
    let outcome = mount.stop();
    outcome.is_calm();
    run(Mount::command(&library).arg("--dry-run")).done();
}

#[test]
fn the_odd_files_are_what_the_script_makes() {
    let library = Library::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/make-odd-files.py");
    run(python().arg(script).arg(library.music())).done();
    let kept: BTreeSet<String> = odd_files()
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    assert_eq!(names(&library.music()), kept);
    for file in odd_files() {
        let made = library.music().join(file.file_name().expect("a name"));
        assert!(
            std::fs::read(&made).expect("made") == std::fs::read(&file).expect("kept"),
            "{}",
            file.display()
        );
    }
}
