//! What a process is called, as long as it is there.

use std::fs;

/// The name of the process that the thread `thread` belongs to; `None` when it is gone, or nobody may know.
pub(super) fn of_process(thread: u32) -> Option<String> {
    let status = fs::read(format!("/proc/{thread}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let field = |name: &str| {
        let mut lines = status.lines();
        lines.find_map(|line| Some(line.strip_prefix(name)?.trim()))
    };
    let process: u32 = field("Tgid:")?.parse().ok()?;
    match fs::read(format!("/proc/{process}/comm")) {
        Ok(name) => cleaned(&String::from_utf8_lossy(&name)),
        // It has just ended. What it was called is here, too, in the system's own way to write it.
        Err(_) => cleaned(field("Name:")?),
    }
}

/// The name as one line.
fn cleaned(name: &str) -> Option<String> {
    let name = name.strip_suffix('\n').unwrap_or(name);
    let mut clean = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_control() {
            clean.extend(character.escape_default());
        } else {
            clean.push(character);
        }
    }
    (!clean.is_empty()).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_the_name_of_its_process() {
        let own = of_process(std::process::id());
        assert!(own.is_some());
        let other = std::thread::Builder::new().name("another name".into());
        let thread = other.spawn(|| of_process(nix::unistd::gettid().as_raw().cast_unsigned()));
        assert_eq!(thread.unwrap().join().unwrap(), own);
        assert_eq!(of_process(u32::MAX), None);
        assert_eq!(cleaned("a\nb\n").as_deref(), Some("a\\nb"));
        assert_eq!(cleaned("\n"), None);
    }
}
