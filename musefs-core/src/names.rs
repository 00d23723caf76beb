//! Names that a file may have: any text in, a name that every tool accepts out.
//!
//! The invariant: a component of a [`ServedPath`] is never empty, `.` or `..`, holds neither `/` nor a control character,
//! neither starts nor ends with white space and is at most [`NAME_BYTES_MAX`] bytes; the path as a whole is within
//! [`PATH_COMPONENTS_MAX`] and [`PATH_BYTES_MAX`]. Nothing here knows of templates, tags or the tree.
//!
//! Names are compared as bytes: `Abba` and `ABBA` are two names, as everywhere on Linux. What differs only in case or in
//! Unicode normalisation is not folded.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Length of a name in bytes that Linux accepts at most (`NAME_MAX`).
pub const NAME_BYTES_MAX: usize = 255;

/// Names in a path at most, the file's own included.
pub const PATH_COMPONENTS_MAX: usize = 64;

/// Length of a path in bytes at most: half of Linux's `PATH_MAX`; the other half is left to the mount point.
pub const PATH_BYTES_MAX: usize = 2048;

/// Length in bytes of an extension at most. No extension of an audio file comes near.
pub const EXTENSION_BYTES_MAX: usize = 16;

/// What a component is called when neither it nor its fallback has anything to show.
const NAME_OF_LAST_RESORT: &str = "_";

/// The path of a served file below the root of the mount, valid by construction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServedPath {
    /// The names with `/` between them.
    text: Box<str>,
    /// Length of the extension in bytes with its dot; 0 where there is none.
    extension_len: u8,
    shortened: bool,
}

impl ServedPath {
    /// Makes a path of `names`, the last of which is the file's without its `extension`. A name with nothing to show
    /// becomes `fallback`. Names that are too long are cut at the end of a character, the file's name before its
    /// extension; directories are left out from the innermost when the path is too deep or too long.
    pub fn new<'a>(
        names: impl IntoIterator<Item = &'a str>,
        extension: Option<&str>,
        fallback: &'a str,
    ) -> Self {
        let mut shortened = false;
        let mut names: Vec<Cow<'a, str>> = names
            .into_iter()
            .map(|name| {
                let (name, cut) = component(name, fallback);
                shortened |= cut;
                name
            })
            .collect();
        let file = names
            .pop()
            .unwrap_or_else(|| component(fallback, NAME_OF_LAST_RESORT).0);
        let extension = extension.map_or(Cow::Borrowed(""), safe_extension);
        let extension_len = match extension.len() {
            0 => 0,
            len => len + 1,
        };
        let stem = cut(&file, NAME_BYTES_MAX - extension_len);
        shortened |= stem.len() < file.len();

        let file_len = stem.len() + extension_len;
        let mut directories_len = 0;
        let mut depth = 0;
        for name in &names {
            let len = directories_len + name.len() + 1;
            if depth + 1 == PATH_COMPONENTS_MAX || len + file_len > PATH_BYTES_MAX {
                shortened = true;
                break;
            }
            directories_len = len;
            depth += 1;
        }
        // As long as it comes out, so that it is not moved when it is done.
        let mut text = String::with_capacity(directories_len + file_len);
        for name in &names[..depth] {
            text.push_str(name);
            text.push('/');
        }
        text.push_str(stem);
        if !extension.is_empty() {
            text.push('.');
            text.push_str(&extension);
        }
        Self {
            text: text.into(),
            extension_len: u8::try_from(extension_len).expect("bounded by EXTENSION_BYTES_MAX"),
            shortened,
        }
    }

    /// The path with `/` between its names.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the directories, outermost first.
    pub fn directories(&self) -> impl Iterator<Item = &str> {
        let directories = self.directory();
        directories
            .into_iter()
            .flat_map(|directories| directories.split('/'))
    }

    /// The directory with `/` between its names; `None` where the file is at the root.
    pub fn directory(&self) -> Option<&str> {
        self.text.rsplit_once('/').map(|(before, _)| before)
    }

    /// The name of the file.
    pub fn file_name(&self) -> &str {
        self.text
            .rsplit_once('/')
            .map_or(&*self.text, |(_, file)| file)
    }

    /// Length in bytes of the end of [`Self::file_name`] that is its extension, dot included; 0 where it has none.
    pub fn extension_len(&self) -> usize {
        usize::from(self.extension_len)
    }

    /// Whether anything was cut off to keep a bound.
    pub fn is_shortened(&self) -> bool {
        self.shortened
    }
}

/// The `number`th file or directory that wants to be called `name`: ` (number)` goes in front of the last `extension_len`
/// bytes, and the rest is cut where the whole would be too long.
pub fn numbered(name: &str, extension_len: usize, number: u32) -> String {
    let (stem, extension) = name.split_at(name.len() - extension_len);
    let suffix = format!(" ({number}){extension}");
    let stem = cut(stem, NAME_BYTES_MAX - suffix.len());
    format!("{stem}{suffix}")
}

/// The extension of a backing file in lower case, as its served file has it. Bytes that are no Unicode are shown as
/// U+FFFD.
pub fn extension_of(path: &[u8]) -> Option<Cow<'_, str>> {
    let extension = Path::new(OsStr::from_bytes(path)).extension()?;
    let extension = extension.to_string_lossy();
    let is_plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    Some(if extension.bytes().all(is_plain) {
        extension
    } else {
        extension.to_lowercase().into()
    })
}

/// `text` up to `len_max` bytes, without the last character when that would be split, nor white space at the end.
pub(crate) fn cut(text: &str, len_max: usize) -> &str {
    if text.len() <= len_max {
        return text;
    }
    let end = (0..=len_max)
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    text[..end].trim_end()
}

/// One name made of `raw`, or of `fallback` when `raw` has nothing to show, and whether it was cut.
fn component<'a>(raw: &'a str, fallback: &'a str) -> (Cow<'a, str>, bool) {
    let shown = [raw, fallback, NAME_OF_LAST_RESORT]
        .into_iter()
        .map(str::trim)
        .find(|name| !name.is_empty())
        .expect("the last resort is not empty");
    let is_odd = |c: char| c == '/' || c.is_control();
    // Nearly all names are as they should be.
    if shown.len() <= NAME_BYTES_MAX && !shown.starts_with('.') && !shown.contains(is_odd) {
        return (Cow::Borrowed(shown), false);
    }
    // `.` and `..` mean something else, and names like them only confuse.
    let is_only_dots = shown.chars().all(|c| c == '.' || c.is_whitespace());
    let mut safe: String = shown
        .chars()
        .map(|c| match c {
            '.' if is_only_dots => '_',
            c if is_odd(c) => '_',
            c => c,
        })
        .collect();
    let kept = cut(&safe, NAME_BYTES_MAX).len();
    let is_cut = kept < safe.len();
    safe.truncate(kept);
    (Cow::Owned(safe), is_cut)
}

/// `extension` without its dot, safe and bounded; empty where there is nothing to show.
fn safe_extension(extension: &str) -> Cow<'_, str> {
    if extension.trim().is_empty() {
        return Cow::Borrowed("");
    }
    match component(extension, NAME_OF_LAST_RESORT).0 {
        Cow::Borrowed(safe) => Cow::Borrowed(cut(safe, EXTENSION_BYTES_MAX)),
        Cow::Owned(safe) => Cow::Owned(cut(&safe, EXTENSION_BYTES_MAX).to_owned()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
