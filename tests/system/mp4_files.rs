//! MP4 files through a mount: their tags as mutagen reads them, the sound of every track, chapters, and parts of files.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::library::Library;
use crate::support::mount::Mount;
use crate::support::process::run;
use crate::support::python;

/// Gives a file items of many kinds.
const TAG: &str = r"
import sys
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm, AtomDataType
file = MP4(sys.argv[1])
file['covr'] = [
    MP4Cover(bytes(range(256)) * 40, MP4Cover.FORMAT_JPEG),
    MP4Cover(b'a small picture', MP4Cover.FORMAT_PNG),
]
file['\xa9ART'] = ['One', 'Two']
file['\xa9wrt'] = ['Composer']
file['trkn'] = [(3, 12)]
file['disk'] = [(1, 0)]
file['cpil'] = True
file['pgap'] = False
file['tmpo'] = [120]
file['plID'] = [1 << 40]
file['rate'] = ['60']
file['xyzw'] = ['of somebody else']
file['\xa9lyr'] = ['la ' * 3000]
file['----:com.apple.iTunes:LABEL'] = [b'first', b'second']
file['----:com.apple.iTunes:Binary'] = [MP4FreeForm(bytes(range(256)), AtomDataType.IMPLICIT)]
file['----:com.apple.iTunes:Number'] = [MP4FreeForm(b'\0\0\0\5', AtomDataType.INTEGER)]
file['----:org.example:a:b'] = [MP4FreeForm('ü'.encode('utf-16-be'), AtomDataType.UTF16)]
file.save()
";

/// Prints all items and chapters, one a line.
const TELL: &str = r"
import sys
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm
file = MP4(sys.argv[1])
def told(value):
    if isinstance(value, MP4Cover):
        return (int(value.imageformat), bytes(value))
    if isinstance(value, MP4FreeForm):
        return (int(value.dataformat), bytes(value))
    return value
lines = []
for key, values in file.tags.items():
    values = values if isinstance(values, list) else [values]
    lines.append(f'{key}={[told(value) for value in values]}')
for chapter in file.chapters or []:
    lines.append(f'chapter {chapter.start} {chapter.title}')
print('\n'.join(sorted(lines)))
";

const CHAPTERS: &str = ";FFMETADATA1\n\
    title=Book\nartist=Reader\n\
    [CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=Beginning\n\
    [CHAPTER]\nTIMEBASE=1/1000\nSTART=1000\nEND=3000\ntitle=Fin\n";

fn ffmpeg(arguments: &[&str], out: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]);
    run(command.args(arguments).arg(out)).done();
}

/// Files of one and of two tracks, with chapters, with the movie in front and at the end.
fn add_files(library: &Library) -> Vec<&'static str> {
    let noise = "anoisesrc=d=3:r=44100:a=0.5:seed=7,aformat=channel_layouts=stereo";
    let music = library.music();
    let made = |name: &str, arguments: &[&str]| ffmpeg(arguments, &music.join(name));
    let source = ["-f", "lavfi", "-i", noise];
    let titled = ["-metadata", "title=Plain", "-metadata", "genre=Rock"];
    made(
        "plain.m4a",
        &[&source[..], &["-c:a", "aac"], &titled].concat(),
    );
    made(
        "lossless.m4a",
        &[&source[..], &["-c:a", "alac"], &titled].concat(),
    );
    let plain = music.join("plain.m4a");
    let plain = plain.to_str().unwrap();
    let lossless = music.join("lossless.m4a");
    let lossless = lossless.to_str().unwrap();
    let chapters = library.path().join("chapters");
    std::fs::write(&chapters, CHAPTERS).unwrap();
    let chapters = chapters.to_str().unwrap();
    let copied = ["-c", "copy", "-movflags", "+faststart"];
    made("fast.m4a", &[&["-i", plain][..], &copied].concat());
    let both = [
        "-i", plain, "-i", lossless, "-map", "0:a", "-map", "1:a", "-c", "copy",
    ];
    made("two.m4a", &both);
    let book = [
        "-i",
        plain,
        "-i",
        chapters,
        "-map",
        "0:a",
        "-map_metadata",
        "1",
    ];
    made(
        "book.m4b",
        &[&book[..], &["-map_chapters", "1", "-c", "copy"]].concat(),
    );
    made(
        "fast.m4b",
        &[&book[..], &["-map_chapters", "1"], &copied].concat(),
    );
    vec![
        "book.m4b",
        "fast.m4a",
        "fast.m4b",
        "lossless.m4a",
        "plain.m4a",
        "two.m4a",
    ]
}

fn mounted(library: &Library) -> Mount {
    Mount::with(
        library,
        &["--metrics-dir", "off", "--template", "$filename"],
    )
}

fn told(path: &Path) -> Vec<String> {
    let told = python::script(TELL, [path]).done().text();
    told.lines().map(ToOwned::to_owned).collect()
}

/// Hashes of the sound and of the chapters' text as they are stored, and of the sound decoded.
fn streams(path: &Path) -> String {
    let hashed = |arguments: &[&str]| {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-i"]).arg(path);
        run(command.args(arguments).args(["-f", "streamhash", "-"]))
            .done()
            .text()
    };
    hashed(&["-map", "0:a", "-map", "0:d?", "-c", "copy"])
        + &hashed(&["-map", "0:a", "-c:a", "pcm_s16le"])
}

/// What ffprobe tells of the chapters.
fn chapters(path: &Path) -> String {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-show_chapters"]).arg(path);
    run(&mut command).done().text()
}

#[test]
fn mp4_files_keep_every_item_and_all_of_their_sound() {
    require_fuse!();
    require!(python::has_mutagen(), "there is no mutagen");
    let library = Library::new();
    let names = add_files(&library);
    for name in &names {
        if *name != "book.m4b" {
            python::script(TAG, [library.music().join(name)]).done();
        }
    }
    let before: Vec<Vec<u8>> = names
        .iter()
        .map(|name| std::fs::read(library.music().join(name)).unwrap())
        .collect();
    library.scan();
    for title in [
        None,
        Some("Edited"),
        Some("Edited again, and far longer than it was before"),
    ] {
        for name in &names {
            if let Some(title) = title {
                library.set_tag(name, "title", title);
                library.set_tag(name, "MyField", "mine");
            }
        }
        let mount = mounted(&library);
        for name in &names {
            let backing = library.music().join(name);
            let served = mount.join(name);
            let mut expected = told(&backing);
            assert!(expected.len() >= 3, "{expected:?}");
            if let Some(title) = title {
                expected.retain(|line| !line.starts_with("©nam="));
                expected.push(format!("©nam=['{title}']"));
                expected.push("----:com.apple.iTunes:MyField=[(1, b'mine')]".to_owned());
                expected.sort();
            }
            let mut found = told(&served);
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{name}");
            let sound = streams(&backing);
            assert!(sound.contains(",a,SHA256="), "{sound}");
            assert_eq!(streams(&served), sound, "{name}");
            assert_eq!(chapters(&served), chapters(&backing), "{name}");
        }
        mount.stop().done();
    }
    for (name, before) in names.iter().zip(before) {
        assert!(std::fs::read(library.music().join(name)).unwrap() == before);
    }
}

#[test]
fn any_part_of_an_mp4_file_is_that_slice_of_the_whole() {
    require_fuse!();
    let library = Library::new();
    let names = add_files(&library);
    library.scan();
    for name in &names {
        library.set_tag(name, "title", "Edited");
    }
    let mount = mounted(&library);
    for name in names {
        let path = mount.join(name);
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole.len() as u64, path.metadata().unwrap().len());
        let file = open_direct(&path);
        // Steps that do not fit the width of an entry, across the tables that are made when they are read.
        for offset in (0..whole.len().min(4000)).step_by(37) {
            let mut part = [0; 61];
            let count = file.read_at(&mut part, offset as u64).unwrap();
            assert_eq!(
                part[..count],
                whole[offset..offset + count],
                "{name} at {offset}"
            );
            assert!(count == part.len() || offset + count == whole.len());
        }
    }
}

fn open_direct(path: &Path) -> File {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)
        .unwrap()
}

#[test]
fn what_is_fragmented_is_served_as_it_is_and_named() {
    require_fuse!();
    let library = Library::new();
    let noise = "anoisesrc=d=1:r=44100";
    let fragments = "frag_keyframe+empty_moov";
    let backing = library.music().join("pieces.mp4");
    let source = ["-f", "lavfi", "-i", noise, "-c:a", "aac"];
    let arguments = [
        &source[..],
        &["-metadata", "title=Pieces", "-movflags", fragments],
    ]
    .concat();
    ffmpeg(&arguments, &backing);
    let scan = library.try_scan(&[]);
    assert_eq!(scan.code, Some(2), "one file cannot be written anew");
    assert!(
        scan.text().contains("pieces.mp4: unsupported"),
        "{}",
        scan.text()
    );
    let mount = Mount::with(&library, &["--metrics-dir", "off", "--template", "$title"]);
    let served = std::fs::read(mount.join("Pieces.mp4")).unwrap();
    assert!(served == std::fs::read(backing).unwrap());
}
