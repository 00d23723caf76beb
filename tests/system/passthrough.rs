//! Kernel passthrough: who reads a file of a structure-only mount of root's gets the backing file's bytes from the kernel.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;

use crate::support::audio::Sound;
use crate::support::hanging::Hanging;
use crate::support::library::{Library, ONE, ONE_SERVED};
use crate::support::mount::Mount;
use crate::support::process::{musefs, run};
use crate::support::users::{
    as_normal_user, can_mount_as_normal_user, give_to_normal_user, is_root, musefs_as_normal_user,
};

const STRUCTURE_ONLY: [&str; 2] = ["--mode", "structure-only"];

/// What the mount says of passthrough.
fn told(mount: &Mount) -> String {
    let config = std::fs::read_to_string(mount.join(".musefs-metrics/config")).unwrap();
    told_in(&config)
}

fn told_in(config: &str) -> String {
    let line = config
        .lines()
        .find_map(|line| line.strip_prefix("kernel.passthrough = "));
    line.expect("the mount tells of passthrough").to_owned()
}

/// A structure-only mount in which files are passed through; `None`, after saying why, where the kernel does not.
fn passing(library: &Library) -> Option<Mount> {
    let mount = Mount::with(library, &STRUCTURE_ONLY);
    // The kernel says no when the first file is opened.
    drop(File::open(mount.join(ONE_SERVED)).unwrap());
    let told = told(&mount);
    if told != "on" {
        crate::support::not_for_this_user(&format!("passthrough is {told}"));
        return None;
    }
    Some(mount)
}

/// Handles passed through now, those ever passed through, and reads that musefs answered.
fn counted(mount: &Mount) -> [u64; 3] {
    let metrics = mount.metrics();
    [
        metrics.value("musefs_passthrough_active"),
        metrics.value("musefs_passthrough_opens_total"),
        metrics.value("musefs_ops_total{op=\"read\"}"),
    ]
}

fn library() -> Library {
    let library = Library::new();
    library.add("one.flac", Sound::Flac, ONE, true);
    library.scan();
    library
}

#[test]
fn two_readers_of_one_file_are_passed_through_and_no_read_arrives() {
    require_fuse!();
    let library = library();
    let original = std::fs::read(library.music().join("one.flac")).unwrap();
    let Some(mount) = passing(&library) else {
        return;
    };
    let path = mount.join(ONE_SERVED);
    // Reading the metrics is a read that arrives, too.
    let [active, opens, reads] = counted(&mount);
    assert_eq!((active, opens), (0, 1));
    let mut first = File::open(&path).unwrap();
    let mut bytes = vec![0; 1000];
    first.read_exact(&mut bytes).unwrap();
    let second = std::fs::read(&path).unwrap();
    assert_eq!(second, original);
    let beside = File::open(&path).unwrap();
    first.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, original);
    let of_metrics = std::fs::metadata(mount.join(".musefs-metrics/metrics")).unwrap();
    let [active, opens, reads_since] = counted(&mount);
    assert_eq!((active, opens), (2, 4));
    assert!(
        reads_since - reads <= 4,
        "only metrics of {} bytes were read: {reads} and then {reads_since}",
        of_metrics.len()
    );
    drop((first, beside));
    mount.metrics_when("both are closed", |metrics| {
        metrics.value("musefs_passthrough_active") == 0
    });
    assert_eq!(mount.metrics().sum("musefs_read_bytes_total"), 0);
    assert_eq!(std::fs::read(&path).unwrap(), original, "and again");
    assert_eq!(mount.metrics().value("musefs_passthrough_disabled"), 0);
}

#[test]
fn many_open_and_close_one_file_at_once() {
    require_fuse!();
    let library = library();
    let original = std::fs::read(library.music().join("one.flac")).unwrap();
    let Some(mount) = passing(&library) else {
        return;
    };
    let path = mount.join(ONE_SERVED);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let file = File::open(&path).expect("whatever others do");
                    let mut last = [0; 10];
                    let end = original.len() as u64;
                    file.read_exact_at(&mut last, end - 10).unwrap();
                    assert_eq!(last, original[original.len() - 10..]);
                }
            });
        }
    });
    let metrics = mount.metrics_when("all are closed", |metrics| {
        metrics.value("musefs_passthrough_active") == 0
    });
    assert_eq!(metrics.value("musefs_passthrough_opens_total"), 801);
    assert_eq!(metrics.value("musefs_handles_open"), 0);
}

#[test]
fn what_the_kernel_cannot_pass_is_served_beside_what_it_can() {
    require_fuse!();
    let library = library();
    let bytes = std::fs::read(library.music().join("one.flac")).unwrap();
    let elsewhere = library.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let hanging = Hanging::mount(&elsewhere, vec![("two.flac".into(), bytes.clone())]);
    run(musefs(["scan", "--db"]).arg(library.db()).arg(&elsewhere)).done();
    {
        let Some(mount) = passing(&library) else {
            return;
        };
        let names = crate::support::files_below(mount.path());
        let songs: Vec<_> = names
            .iter()
            .filter(|name| !name.starts_with(".musefs-metrics/"))
            .collect();
        assert_eq!(songs.len(), 2, "{names:?}");
        let open: Vec<File> = songs
            .iter()
            .chain(&songs)
            .map(|name| File::open(mount.join(name)).unwrap())
            .collect();
        for file in &open {
            let mut served = vec![0; bytes.len()];
            file.read_exact_at(&mut served, 0).unwrap();
            assert!(served == bytes);
        }
        let [active, opens, _] = counted(&mount);
        assert_eq!((active, opens), (2, 3), "the two handles of one of them");
        assert!(mount.metrics().sum("musefs_read_bytes_total") >= bytes.len() as u64);
    }
    drop(hanging);
}

#[test]
fn a_file_that_is_cut_while_it_is_open_ends_there_and_is_refused_from_then_on() {
    require_fuse!();
    let library = library();
    let path = library.music().join("one.flac");
    let original = std::fs::read(&path).unwrap();
    let Some(mount) = passing(&library) else {
        return;
    };
    let served = mount.join(ONE_SERVED);
    let mut open = File::open(&served).unwrap();
    let half = original.len() / 2;
    let cut = File::options().write(true).open(&path).unwrap();
    cut.set_len(half as u64).unwrap();
    let mut bytes = Vec::new();
    open.read_to_end(&mut bytes).unwrap();
    assert!(
        bytes == original[..half],
        "what is there, as without musefs"
    );
    assert_eq!(crate::support::errno(&File::open(&served)), libc::EIO);
    drop(open);
    let metrics = mount.metrics_when("it is closed", |metrics| {
        metrics.value("musefs_passthrough_active") == 0
    });
    assert_eq!(metrics.value("musefs_tracks_dark{reason=\"changed\"}"), 1);
}

#[test]
fn a_mount_that_is_told_not_to_passes_nothing_and_says_so() {
    require_fuse!();
    let library = library();
    let original = std::fs::read(library.music().join("one.flac")).unwrap();
    for flag in ["--no-passthrough", "--no-kernel-cache"] {
        let mount = Mount::with(&library, &["--mode", "structure-only", flag]);
        assert_eq!(std::fs::read(mount.join(ONE_SERVED)).unwrap(), original);
        let metrics = mount.metrics();
        assert_eq!(metrics.value("musefs_passthrough_disabled"), 1);
        assert_eq!(metrics.value("musefs_passthrough_opens_total"), 0);
        assert_eq!(told(&mount), format!("off  # {flag}"));
    }
}

#[test]
fn a_normal_user_is_served_without_passthrough_and_told_why() {
    require_fuse!();
    if !can_mount_as_normal_user() {
        return;
    }
    let library = library();
    let original = std::fs::read(library.music().join("one.flac")).unwrap();
    std::fs::set_permissions(library.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    give_to_normal_user(&library);
    let mut command = musefs_as_normal_user();
    command
        .args(["mount", "--mode", "structure-only", "--db"])
        .arg(library.db())
        .arg(library.mountpoint());
    let mount = Mount::start(&mut command, &library.mountpoint()).unwrap();
    let cat = |name: &str| {
        run(as_normal_user(Path::new("cat")).arg(mount.join(name)))
            .done()
            .stdout
    };
    assert!(cat(ONE_SERVED) == original);
    let metrics = String::from_utf8(cat(".musefs-metrics/metrics")).unwrap();
    assert!(metrics.contains("\nmusefs_passthrough_disabled 1\n"));
    assert!(metrics.contains("\nmusefs_passthrough_active 0\n"));
    let config = String::from_utf8(cat(".musefs-metrics/config")).unwrap();
    assert_eq!(
        told_in(&config),
        "off  # only root may pass files through",
        "{}",
        is_root()
    );
    assert_eq!(mount.stop().stderr, "", "nothing to worry anybody with");
}
