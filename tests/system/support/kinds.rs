//! Kinds of audio files: how ffmpeg makes one, and how its metadata are written by the judge in `judge/`.
//!
//! Two kinds of which no free encoder is packaged come from a corpus of files, whose directory `MUSEFS_CORPUS` names.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::run;

/// Where the sound of a kind comes from.
#[derive(Clone, Copy, Debug)]
pub enum Origin {
    /// ffmpeg's arguments between input and output.
    Encoded(&'static [&'static str]),
    /// The name of a file of the corpus.
    Corpus(&'static str),
}

/// A kind of files.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// The extension of its files.
    pub extension: &'static str,
    /// How the judge writes its metadata.
    pub family: &'static str,
    /// Its sound.
    pub origin: Origin,
}

/// Chapters of a second, as ffmpeg reads them.
const CHAPTERS: &str = ";FFMETADATA1\n\
    [CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=Eins\n\
    [CHAPTER]\nTIMEBASE=1/1000\nSTART=400\nEND=1000\ntitle=Zwei – два\n";

const fn encoded(
    name: &'static str,
    extension: &'static str,
    family: &'static str,
    arguments: &'static [&'static str],
) -> Kind {
    Kind {
        name,
        extension,
        family,
        origin: Origin::Encoded(arguments),
    }
}

pub const FLAC: Kind = encoded("flac", "flac", "flac", &["-sample_fmt", "s16"]);
pub const FLAC_24: Kind = encoded(
    "flac_24",
    "flac",
    "flac",
    &["-sample_fmt", "s32", "-bits_per_raw_sample", "24"],
);
pub const MP3: Kind = encoded("mp3", "mp3", "id3", &["-b:a", "192k"]);
pub const MP3_ID3V23: Kind = encoded("mp3_id3v23", "mp3", "id3v23", &["-q:a", "4"]);
pub const MP2: Kind = encoded("mp2", "mp2", "id3", &["-c:a", "mp2"]);
pub const MP4_AAC: Kind = encoded("mp4_aac", "m4a", "mp4", &["-c:a", "aac"]);
pub const MP4_FIRST_MOOV: Kind = encoded(
    "mp4_first_moov",
    "m4a",
    "mp4",
    &["-c:a", "aac", "-movflags", "+faststart"],
);
pub const MP4_ALAC: Kind = encoded("mp4_alac", "m4a", "mp4", &["-c:a", "alac"]);
pub const MP4_CHAPTERS: Kind = encoded(
    "mp4_chapters",
    "m4b",
    "mp4",
    &["-c:a", "aac", "-map_chapters", "1"],
);
pub const OGG_VORBIS: Kind = encoded("ogg_vorbis", "ogg", "ogg", &["-c:a", "libvorbis"]);
pub const OGG_OPUS: Kind = encoded("ogg_opus", "opus", "ogg", &["-c:a", "libopus"]);
pub const OGG_FLAC: Kind = encoded("ogg_flac", "oga", "ogg", &["-c:a", "flac"]);
pub const OGG_SPEEX: Kind = encoded(
    "ogg_speex",
    "spx",
    "ogg",
    &["-c:a", "libspeex", "-ar", "16000", "-ac", "1"],
);
pub const WAV: Kind = encoded("wav", "wav", "wave", &["-c:a", "pcm_s16le"]);
pub const WAV_24: Kind = encoded("wav_24", "wav", "wave", &["-c:a", "pcm_s24le"]);
pub const WAV_FLOAT: Kind = encoded("wav_float", "wav", "wave", &["-c:a", "pcm_f32le"]);
pub const WAV_RF64: Kind = encoded(
    "wav_rf64",
    "wav",
    "rf64",
    &["-c:a", "pcm_s16le", "-rf64", "always"],
);
pub const AIFF: Kind = encoded("aiff", "aiff", "aiff", &["-c:a", "pcm_s16be"]);
pub const AIFF_C: Kind = encoded("aiff_c", "aif", "aiff", &["-c:a", "pcm_s16le"]);
pub const WAVPACK: Kind = encoded("wavpack", "wv", "ape", &["-c:a", "wavpack"]);
pub const TRUE_AUDIO: Kind = encoded("true_audio", "tta", "ape", &["-c:a", "tta"]);
pub const ADTS: Kind = encoded("adts", "aac", "id3", &["-c:a", "aac", "-f", "adts"]);
pub const APE: Kind = Kind {
    name: "ape",
    extension: "ape",
    family: "ape",
    origin: Origin::Corpus("mac-399.ape"),
};
pub const MUSEPACK: Kind = Kind {
    name: "musepack",
    extension: "mpc",
    family: "ape",
    origin: Origin::Corpus("click.mpc"),
};

/// The directory of the corpus, where there is one.
pub fn corpus() -> Option<PathBuf> {
    std::env::var_os("MUSEFS_CORPUS").map(PathBuf::from)
}

/// A file of the kind, without tags, made once and kept beside the test binaries; `None` when it is of the corpus and
/// there is none.
pub fn sample(kind: &Kind) -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("samples");
    std::fs::create_dir_all(&directory).expect("the target directory is writable");
    match kind.origin {
        Origin::Corpus(name) => corpus().map(|corpus| corpus.join(name)),
        Origin::Encoded(arguments) => {
            let path = directory.join(format!("kind-{}.{}", kind.name, kind.extension));
            if !path.exists() {
                // Under a name of its own first: another test run may be looking.
                let name = format!(
                    "unfinished-{}-{}.{}",
                    std::process::id(),
                    kind.name,
                    kind.extension
                );
                let unfinished = directory.join(name);
                encode(arguments, &unfinished);
                std::fs::rename(&unfinished, &path).expect("a rename in one directory");
            }
            Some(path)
        }
    }
}

/// A second of noise, which nothing compresses away.
fn encode(arguments: &[&str], out: &Path) {
    let chapters = out.with_extension("chapters");
    std::fs::write(&chapters, CHAPTERS).expect("the target directory is writable");
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i"])
        .arg("anoisesrc=d=1:r=44100:a=0.4:seed=11,aformat=channel_layouts=stereo")
        .args(["-f", "ffmetadata", "-i"])
        .arg(&chapters);
    if !arguments.contains(&"-map_chapters") {
        command.args(["-map_chapters", "-1"]);
    }
    command
        .args(["-map", "0:a", "-map_metadata", "-1"])
        .args(arguments)
        .arg(out);
    run(&mut command).done();
    std::fs::remove_file(chapters).expect("what was just written is removed");
}
