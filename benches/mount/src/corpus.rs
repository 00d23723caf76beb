//! The libraries that are measured: one of many small tracks, and one of a single large one. Each file lies under the very
//! path under which it will be served, so that all columns of the table look up the same names.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// What makes the served paths equal to those here.
pub const TEMPLATE: &str = "$albumartist/$album/$title";

const TRACKS_PER_ALBUM: usize = 10;
const TRACKS_PER_ARTIST: usize = 50;
/// As zeros that take no room on the disk.
const COVER_BYTES: u32 = 70_000;
const SOUND_BYTES: usize = 20_000;
/// Comments in a FLAC file.
const FIELDS: u32 = 7;

/// A real FLAC file, for the description of its stream and some of its frames.
static FLAC: &[u8] =
    include_bytes!("../../../tests/data/library/The Tidewater Four/Slow Tides (2011)/01 Ebb.flac");
/// MPEG frames and nothing else.
static MP3: &[u8] = include_bytes!("../../../tests/data/library/loose/untagged.mp3");

/// A directory of music.
#[derive(Debug, Clone)]
pub struct Library {
    /// What is scanned.
    pub dir: PathBuf,
    /// How the stores made of it are called.
    pub name: &'static str,
    /// How many files there are.
    pub tracks: usize,
}

/// Names in the library of many tracks.
pub struct Names {
    pub artist: String,
    pub album: String,
    pub title: String,
    pub extension: &'static str,
}

/// What track `number` is called.
pub fn names(number: usize) -> Names {
    let album = number / TRACKS_PER_ALBUM;
    Names {
        artist: format!("Artist {:05}", number / TRACKS_PER_ARTIST),
        album: format!("Album {album:06}"),
        title: format!("Title {number:07}"),
        extension: if album.is_multiple_of(2) {
            "flac"
        } else {
            "mp3"
        },
    }
}

impl Names {
    /// Where the track lies below the library, and below a mount of it.
    pub fn path(&self) -> PathBuf {
        Path::new(&self.artist)
            .join(&self.album)
            .join(format!("{}.{}", self.title, self.extension))
    }
}

/// Where the one track of the other library is.
pub fn large_path() -> PathBuf {
    Path::new("Artist/Album").join("Large.flac")
}

/// Makes `tracks` files of FLAC and MP3, album by album, each with tags and a cover.
pub fn make_many(dir: PathBuf, tracks: usize) -> anyhow::Result<Library> {
    for number in 0..tracks {
        let names = names(number);
        let path = dir.join(names.path());
        if number % TRACKS_PER_ALBUM == 0 {
            fs::create_dir_all(path.parent().unwrap_or(&dir))?;
        }
        let track = number % TRACKS_PER_ALBUM + 1;
        let made = if names.extension == "flac" {
            write_flac(&path, &names, track, SOUND_BYTES)
        } else {
            write_mp3(&path, &names, track)
        };
        made.with_context(|| path.display().to_string())?;
    }
    Ok(Library {
        dir,
        name: "many",
        tracks,
    })
}

/// Makes one FLAC file with a cover and `bytes` of frames.
pub fn make_large(dir: PathBuf, bytes: usize) -> anyhow::Result<Library> {
    let names = Names {
        artist: "Artist".into(),
        album: "Album".into(),
        title: "Large".into(),
        extension: "flac",
    };
    let path = dir.join(names.path());
    fs::create_dir_all(path.parent().unwrap_or(&dir))?;
    write_flac(&path, &names, 1, bytes)?;
    Ok(Library {
        dir,
        name: "large",
        tracks: 1,
    })
}

/// A FLAC file as RFC 9639 has it: the description of the stream, comments, a picture, frames.
fn write_flac(path: &Path, names: &Names, track: usize, sound_bytes: usize) -> anyhow::Result<()> {
    let (stream_info, frames) = flac_parts()?;
    let mut comments = Vec::new();
    push_text(&mut comments, "musefs");
    let fields: [String; FIELDS as usize] = [
        format!("TITLE={}", names.title),
        format!("ARTIST={}", names.artist),
        format!("ALBUMARTIST={}", names.artist),
        format!("ALBUM={}", names.album),
        format!("TRACKNUMBER={track}"),
        "DATE=1999".into(),
        "GENRE=Jazz".into(),
    ];
    comments.extend(FIELDS.to_le_bytes());
    for field in &fields {
        push_text(&mut comments, field);
    }
    let mut picture = Vec::new();
    picture.extend(3_u32.to_be_bytes());
    picture.extend(10_u32.to_be_bytes());
    picture.extend(b"image/jpeg");
    for number in [0, 500, 500, 24, 0, COVER_BYTES] {
        picture.extend(number.to_be_bytes());
    }

    let mut head = b"fLaC".to_vec();
    push_block(&mut head, 0, len_of(&stream_info));
    head.extend(stream_info);
    push_block(&mut head, 4, len_of(&comments));
    head.extend(comments);
    push_block(&mut head, 0x86, len_of(&picture) + COVER_BYTES);
    head.extend(picture);
    write(path, &head, frames, sound_bytes)
}

/// An MP3 file with a tag of ID3v2.4 in front.
fn write_mp3(path: &Path, names: &Names, track: usize) -> anyhow::Result<()> {
    let mut frames = Vec::new();
    let track = track.to_string();
    for (id, text) in [
        (b"TIT2", names.title.as_str()),
        (b"TPE1", &names.artist),
        (b"TPE2", &names.artist),
        (b"TALB", &names.album),
        (b"TRCK", &track),
        (b"TDRC", "1999"),
        (b"TCON", "Jazz"),
    ] {
        frames.extend(id);
        frames.extend(synchsafe(len_of(&text) + 1));
        // No flags, and UTF-8.
        frames.extend([0, 0, 3]);
        frames.extend(text.as_bytes());
    }
    let picture = b"\x00image/jpeg\x00\x03\x00";
    frames.extend(b"APIC");
    frames.extend(synchsafe(len_of(&picture) + COVER_BYTES));
    frames.extend([0, 0]);
    frames.extend(picture);

    let mut head = b"ID3\x04\x00\x00".to_vec();
    head.extend(synchsafe(len_of(&frames) + COVER_BYTES));
    head.extend(frames);
    write(path, &head, MP3, SOUND_BYTES)
}

/// The head, a cover of zeros, and the sound over and over until it is long enough.
fn write(path: &Path, head: &[u8], sound: &[u8], sound_bytes: usize) -> anyhow::Result<()> {
    const PIECE_BYTES: usize = 1 << 20;
    let mut file = File::create(path)?;
    file.write_all(head)?;
    file.seek(SeekFrom::Current(COVER_BYTES.into()))?;
    let mut piece = sound.repeat(sound_bytes.min(PIECE_BYTES).div_ceil(sound.len()));
    let mut left = sound_bytes;
    while left > 0 {
        piece.truncate(left);
        file.write_all(&piece)?;
        left -= piece.len();
    }
    Ok(())
}

/// The description of the stream and the frames of the real file.
fn flac_parts() -> anyhow::Result<(&'static [u8], &'static [u8])> {
    let (_, mut rest) = FLAC.split_at_checked(4).context("a short file")?;
    let mut stream_info = None;
    loop {
        let Some(([kind, a, b, c], after)) = rest.split_first_chunk() else {
            bail!("the file of tones is no FLAC");
        };
        let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let (body, after) = after.split_at_checked(len).context("a short block")?;
        stream_info.get_or_insert(body);
        rest = after;
        if kind & 0x80 != 0 {
            return Ok((stream_info.context("no description of the stream")?, rest));
        }
    }
}

fn len_of(bytes: &(impl AsRef<[u8]> + ?Sized)) -> u32 {
    u32::try_from(bytes.as_ref().len()).expect("tags are short")
}

fn push_block(bytes: &mut Vec<u8>, kind: u8, len: u32) {
    let [_, a, b, c] = len.to_be_bytes();
    bytes.extend([kind, a, b, c]);
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(len_of(&text).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// Seven bits in each byte (ID3v2.4, section 6.2).
fn synchsafe(number: u32) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| (number >> shift & 0x7F) as u8)
}
