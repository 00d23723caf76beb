//! Audio files: noise, which nothing compresses away, encoded once by ffmpeg and kept beside the test binaries; each test
//! gets copies with tags of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::process::run;

/// What sounds in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    /// Two seconds of FLAC.
    Flac,
    /// Four seconds of MP3.
    Mp3,
    /// A tenth of a second of FLAC.
    TinyFlac,
    /// Two minutes of FLAC, about 10 MB.
    LongFlac,
}

impl Sound {
    /// The extension that goes with it.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Flac | Self::TinyFlac | Self::LongFlac => "flac",
        }
    }
}

struct Samples {
    directory: PathBuf,
}

static SAMPLES: LazyLock<Samples> = LazyLock::new(|| {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("samples");
    std::fs::create_dir_all(&directory).expect("the target directory is writable");
    let samples = Samples { directory };
    for sound in [Sound::Flac, Sound::Mp3, Sound::TinyFlac, Sound::LongFlac] {
        let seconds = seconds(sound);
        let noise =
            format!("anoisesrc=d={seconds}:r=44100:a=0.5:seed=7,aformat=channel_layouts=stereo");
        samples.make(
            &samples.sound(sound),
            &[
                "-f",
                "lavfi",
                "-i",
                &noise,
                "-sample_fmt",
                sample_format(sound),
                "-b:a",
                "192k",
            ],
        );
    }
    samples.make(
        &samples.cover(),
        &[
            "-f",
            "lavfi",
            "-i",
            "nullsrc=s=80x80,geq=random(1)*255:128:128",
            "-frames:v",
            "1",
        ],
    );
    samples
});

fn seconds(sound: Sound) -> &'static str {
    match sound {
        Sound::Flac => "2",
        Sound::Mp3 => "4",
        Sound::TinyFlac => "0.1",
        Sound::LongFlac => "120",
    }
}

fn sample_format(sound: Sound) -> &'static str {
    if sound == Sound::Mp3 { "s16p" } else { "s16" }
}

impl Samples {
    fn sound(&self, sound: Sound) -> PathBuf {
        // What another version of the tests made stays another file.
        let name = format!("{sound:?}-{}s.{}", seconds(sound), sound.extension());
        self.directory.join(name)
    }

    fn cover(&self) -> PathBuf {
        self.directory.join("cover.png")
    }

    /// Encodes to a name of its own first: another test run may be looking.
    fn make(&self, path: &Path, arguments: &[&str]) {
        if path.exists() {
            return;
        }
        let name = path.file_name().expect("a file").to_string_lossy();
        let unfinished = self
            .directory
            .join(format!("unfinished-{}-{name}", std::process::id()));
        ffmpeg(arguments, &unfinished);
        std::fs::rename(&unfinished, path).expect("a rename in one directory");
    }
}

fn ffmpeg<A: AsRef<std::ffi::OsStr>>(arguments: &[A], out: &Path) {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments)
        .arg(out);
    run(&mut command).done();
}

/// A file without tags.
pub fn sample(sound: Sound) -> PathBuf {
    SAMPLES.sound(sound)
}

/// Writes a file with `tags` (ffmpeg's names) to `path`.
pub fn write(path: &Path, sound: Sound, tags: &[(&str, &str)], with_art: bool) {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).expect("a library is writable");
    }
    let mut arguments = vec!["-i".into(), SAMPLES.sound(sound).into_os_string()];
    if with_art {
        arguments.push("-i".into());
        arguments.push(SAMPLES.cover().into());
        for argument in [
            "-map",
            "0:a",
            "-map",
            "1:v",
            "-disposition:v",
            "attached_pic",
        ] {
            arguments.push(argument.into());
        }
    }
    arguments.extend(["-c".into(), "copy".into()]);
    for (key, value) in tags {
        arguments.extend(["-metadata".into(), format!("{key}={value}").into()]);
    }
    // The name says nothing of the format where a test is about names.
    let extension = sound.extension();
    arguments.extend(["-f".into(), extension.into()]);
    ffmpeg(&arguments, path);
}

/// Encodes two seconds of sound to `path` as its extension and `arguments` (ffmpeg's) say.
pub fn encode(path: &Path, arguments: &[&str]) {
    let mut all = vec!["-i".into(), SAMPLES.sound(Sound::Flac).into_os_string()];
    all.extend(arguments.iter().map(Into::into));
    ffmpeg(&all, path);
}

/// A hash of the decoded sound.
pub fn sound_hash(path: &Path) -> String {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(path)
        .args(["-map", "0:a", "-f", "md5", "-c:a", "pcm_s16le", "-"]);
    let hash = run(&mut command).done().text();
    assert!(hash.starts_with("MD5="), "{hash}");
    hash
}
