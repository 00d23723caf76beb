use super::*;
use proptest::prelude::*;

fn one(name: &str) -> String {
    ServedPath::new([name], None, "Unknown").as_str().to_owned()
}

pub(crate) fn assert_valid_name(name: &str) {
    assert!(
        !name.is_empty() && name != "." && name != "..",
        "{name:?} is no name"
    );
    assert!(name.len() <= NAME_BYTES_MAX, "{name:?} is too long");
    assert!(
        !name.contains(|c: char| c == '/' || c.is_control()),
        "{name:?} has a forbidden character"
    );
    assert_eq!(name.trim(), name, "white space around a name");
}

#[test]
fn names_are_made_safe() {
    assert_eq!(one("AC/DC"), "AC_DC");
    assert_eq!(one("a\0b\nc\u{7f}"), "a_b_c_");
    assert_eq!(one("  x\n"), "x");
    assert_eq!(one("."), "_");
    assert_eq!(one(".."), "__");
    assert_eq!(one(". ."), "_ _");
    assert_eq!(one("...And Justice"), "...And Justice");
    assert_eq!(one("\t "), "Unknown");
    assert_eq!(ServedPath::new([""], None, " ").as_str(), "_");
    assert_eq!(ServedPath::new([], Some("flac"), "x").as_str(), "x.flac");
}

#[test]
fn a_long_name_keeps_its_extension_and_whole_characters() {
    let path = ServedPath::new(["ä".repeat(200).as_str()], Some("flac"), "");
    assert_eq!(path.as_str(), format!("{}.flac", "ä".repeat(125)));
    assert!(path.is_shortened());
    let second = numbered(path.file_name(), path.extension_len(), 2);
    assert_eq!(second, format!("{} (2).flac", "ä".repeat(123)));
}

#[test]
fn a_deep_or_long_path_loses_inner_directories() {
    let deep = ServedPath::new(vec!["d"; 100], Some("mp3"), "");
    assert_eq!(deep.directories().count(), PATH_COMPONENTS_MAX - 1);
    assert_eq!(deep.file_name(), "d.mp3");
    assert!(deep.is_shortened());
    let name = "n".repeat(NAME_BYTES_MAX);
    let long = ServedPath::new(vec![name.as_str(); 20], Some("mp3"), "");
    assert!(long.is_shortened() && long.as_str().len() <= PATH_BYTES_MAX);
    assert_eq!(long.directories().count(), 7);
}

#[test]
fn the_extension_is_the_backing_files_in_lower_case() {
    assert_eq!(extension_of(b"a/b.FLAC").as_deref(), Some("flac"));
    assert_eq!(extension_of(b"a.b/c"), None);
    assert_eq!(extension_of(b"a/.flac"), None);
    assert_eq!(extension_of(b"x.\xffA").as_deref(), Some("\u{fffd}a"));
}

proptest! {
    #[test]
    fn any_text_becomes_a_valid_name(
        names in proptest::collection::vec(any::<String>(), 0..6),
        extension in proptest::option::of(any::<String>()),
        repeats in 1..80usize,
        number in 2..100_000u32,
    ) {
        let names: Vec<String> = names.iter().map(|name| name.repeat(repeats)).collect();
        let path = ServedPath::new(
            names.iter().map(String::as_str),
            extension.as_deref(),
            "..",
        );
        for name in path.directories().chain([path.file_name()]) {
            assert_valid_name(name);
        }
        prop_assert!(path.as_str().len() <= PATH_BYTES_MAX);
        assert_valid_name(&numbered(path.file_name(), path.extension_len(), number));
    }
}
