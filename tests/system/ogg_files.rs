//! Ogg files in a mount: tags and pictures as the store has them, and the packets of the sound as they were, whether or not
//! the headers take other pages than before.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::library::Library;
use crate::support::mount::Mount;
use crate::support::process::run;
use crate::support::{audio, has_program, python};

/// Puts a picture of 300 KB and one of 5 KB into the comments by mutagen, which makes pages of 4 KB.
const COVER: &str = r#"
import base64, random, sys
import mutagen
from mutagen.flac import Picture
file = mutagen.File(sys.argv[1])
texts = []
for kind, length in [(3, 300_000), (4, 5_001)]:
    picture = Picture()
    picture.type, picture.mime, picture.desc = kind, "image/jpeg", f"bäck {kind}"
    picture.data = random.Random(kind).randbytes(length)
    texts.append(base64.b64encode(picture.write()).decode())
file["metadata_block_picture"] = texts
file["genre"] = ["Märchen", "Jazz"]
file.save()
"#;

/// Prints what mutagen reads of a file: comments, and pictures without their bytes but with their hash.
const TAGS: &str = r#"
import base64, hashlib, sys
import mutagen
from mutagen.flac import Picture
lines = []
for key, value in mutagen.File(sys.argv[1]).tags:
    if key.lower() == "metadata_block_picture":
        picture = Picture(base64.b64decode(value))
        sha = hashlib.sha256(picture.data).hexdigest()
        value = f"{picture.type} {picture.mime} {picture.desc} {sha}"
    lines.append(f"{key.lower()}={value}")
print("\n".join(sorted(lines)))
"#;

/// Extension and encoder.
const CODECS: [(&str, &str); 4] = [
    ("ogg", "libvorbis"),
    ("opus", "libopus"),
    ("spx", "libspeex"),
    ("oga", "flac"),
];

fn encode(library: &Library, extension: &str, encoder: &str) -> PathBuf {
    let path = library.music().join(format!("sound.{extension}"));
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i"])
        .args(["anoisesrc=d=4:r=32000:a=0.5:seed=7", "-c:a", encoder])
        .args(["-metadata", "title=One", "-metadata", "track=3/9"])
        .arg(&path);
    run(&mut ffmpeg).done();
    path
}

fn tags(path: &Path) -> Vec<String> {
    let told = python::script(TAGS, [path]).done().text();
    told.lines().map(ToOwned::to_owned).collect()
}

/// The hashes of the sound's packets, one a line, without what comes of the tags.
fn packets(path: &Path) -> Vec<String> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:a", "-c", "copy", "-f", "framemd5", "-"]);
    let told = run(&mut ffmpeg).done().text();
    let packet = |line: &str| line.split(", S=").next().unwrap_or(line).to_owned();
    told.lines().map(packet).collect()
}

/// What the reference tools complain of.
fn complaints(path: &Path) -> Vec<String> {
    let is_opus = path
        .extension()
        .is_some_and(|extension| extension == "opus");
    let tool = if is_opus { "opusinfo" } else { "ogginfo" };
    let told = run(Command::new(tool).arg(path)).text();
    told.lines()
        .filter(|line| line.starts_with("WARNING") && !line.contains("PICTURE"))
        .map(ToOwned::to_owned)
        .collect()
}

/// A library of every codec, with pictures, scanned; and its files.
fn library() -> (Library, Vec<PathBuf>) {
    let library = Library::new();
    let mut paths = Vec::new();
    for (extension, encoder) in CODECS {
        let path = encode(&library, extension, encoder);
        python::script(COVER, [&path]).done();
        paths.push(path);
    }
    library.scan();
    (library, paths)
}

fn served(mount: &Mount, backing: &Path) -> PathBuf {
    mount.join(
        backing
            .file_name()
            .expect("a file")
            .to_str()
            .expect("a name"),
    )
}

#[track_caller]
fn assert_same_sound(served: &Path, backing: &Path) {
    assert_eq!(audio::sound_hash(served), audio::sound_hash(backing));
    assert_eq!(packets(served), packets(backing), "{}", backing.display());
    if has_program("ogginfo") && has_program("opusinfo") {
        assert_eq!(complaints(served), complaints(backing));
    }
}

#[test]
fn untouched_ogg_files_have_their_tags_their_pictures_and_their_sound() {
    require_fuse!();
    require!(python::has_mutagen(), "there is no mutagen");
    let (library, paths) = library();
    let mount = Mount::with(&library, &["--template", "$filename"]);
    for backing in &paths {
        let served = served(&mount, backing);
        let told = tags(&served);
        assert_eq!(told, tags(backing));
        assert_eq!(
            told.iter()
                .filter(|line| line.starts_with("metadata_block"))
                .count(),
            2
        );
        assert_eq!(
            served.metadata().unwrap().len(),
            backing.metadata().unwrap().len()
        );
        assert_same_sound(&served, backing);
    }
}

#[test]
fn ogg_files_with_longer_comments_have_the_same_packets() {
    require_fuse!();
    require!(python::has_mutagen(), "there is no mutagen");
    let (library, paths) = library();
    let comment = "long ".repeat(40_000);
    for backing in &paths {
        let name = backing.file_name().unwrap().to_str().unwrap();
        library.set_tag(name, "comment", &comment);
        library.set_tag(name, "title", "Ændert");
    }
    let mount = Mount::with(&library, &["--template", "$filename"]);
    for backing in &paths {
        let served = served(&mount, backing);
        let mut expected = tags(backing);
        for line in &mut expected {
            *line = line.replace("title=One", "title=Ændert");
        }
        expected.push(format!("comment={comment}"));
        expected.sort();
        assert_eq!(tags(&served), expected);
        assert_same_sound(&served, backing);
    }
}

#[test]
fn a_picture_of_the_store_takes_the_place_of_those_of_an_ogg_file() {
    require_fuse!();
    require!(python::has_mutagen(), "there is no mutagen");
    let (library, paths) = library();
    let picture: Vec<u8> = (0..100_003_u32).map(|n| n.to_le_bytes()[0]).collect();
    let store = library.store();
    store.execute("DELETE FROM art", []).unwrap();
    store
        .execute("INSERT INTO blobs (data) VALUES (?1)", [&picture])
        .unwrap();
    store
        .execute(
            "INSERT INTO art (track_id, picture_type, mime, description, blob_id)
             SELECT id, 3, 'image/png', 'new', ?1 FROM tracks",
            [store.last_insert_rowid()],
        )
        .unwrap();
    drop(store);
    let mount = Mount::with(&library, &["--template", "$filename"]);
    let file = library.path().join("picture");
    std::fs::write(&file, &picture).unwrap();
    let sum = run(Command::new("sha256sum").arg(&file)).done().text();
    let sum = sum.split(' ').next().expect("a hash").to_owned();
    for backing in &paths {
        let served = served(&mount, backing);
        let mut expected = tags(backing);
        expected.retain(|line| !line.starts_with("metadata_block"));
        expected.push(format!("metadata_block_picture=3 image/png new {sum}"));
        expected.sort();
        assert_eq!(tags(&served), expected);
        assert_same_sound(&served, backing);
    }
}
