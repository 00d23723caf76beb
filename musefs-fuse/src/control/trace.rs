//! What is told of operations to whoever follows them: plain data, a line of JSON each, and who hears it.
//!
//! A follower hears what ended while it followed, each operation once, or how many it was not told of.

use std::io::{self, BufRead as _, BufReader};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use serde::{Deserialize, Serialize};

use super::{Answer, LINE_BYTES_MAX, Reached, Request, SPEAK_TIMEOUT, Silent, say};

/// How long a follower waits before it looks whether to go on.
const STEP: Duration = Duration::from_millis(100);

/// Which operations are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// By name; all when there is none.
    pub operations: Vec<String>,
    /// Only those that took at least so long.
    pub least_ns: u64,
    /// Those to come, instead of those that were kept.
    pub follow: bool,
}

impl Wanted {
    /// Whether an operation of that name and duration is wanted.
    pub fn takes(&self, operation: &str, duration_ns: u64) -> bool {
        duration_ns >= self.least_ns
            && (self.operations.is_empty() || self.operations.iter().any(|name| name == operation))
    }
}

/// An operation that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// When it ended, in milliseconds since 1970.
    pub ended_unix_ms: u64,
    /// The request, as every text names it.
    pub request: String,
    /// The request that triggered it, where it is work in the background.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The request whose work answered this one, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// What it is called.
    pub operation: String,
    /// `ok`, or the name of its error.
    pub outcome: String,
    /// How long it took.
    pub duration_ns: u64,
    /// The path that its file has now, with what would break a line escaped.
    pub path: String,
    /// The process or thread that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// What that is called, if it is there still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Where its time went; absent where that was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phases: Option<Vec<Phase>>,
    /// What it went through; absent where that was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiers: Option<Vec<Tier>>,
    /// The bytes that it brought, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// A part of an operation's time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// What it is called.
    pub name: String,
    /// How long it took.
    pub duration_ns: u64,
}

/// Something that an operation went through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// What it is called.
    pub name: String,
    /// How it answered.
    pub outcome: String,
    /// Whether it stood in for another one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fallback: bool,
}

/// What a mount tells after it said that it would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// An operation ended.
    Operation(Box<Operation>),
    /// So many that ended since the last such line were not told.
    Missed {
        /// Among them may be some that were not wanted.
        operations: u64,
    },
    /// Nothing ended.
    Quiet,
    /// That is all.
    End {
        /// Whether the mount ends, too.
        mount_ends: bool,
    },
}

/// What came next.
#[derive(Debug)]
pub enum Heard {
    /// A line.
    Line(Line),
    /// Nothing so far.
    Nothing,
    /// The connection ended without a last line.
    Closed,
}

/// A connection by which a mount tells of operations.
#[derive(Debug)]
pub struct Following {
    reader: BufReader<UnixStream>,
    line: Vec<u8>,
    heard: Instant,
    silent: Silent,
}

impl Following {
    /// Has the mount that holds `path` tell of what is wanted.
    ///
    /// # Errors
    /// When there is none, it does not answer, it belongs to somebody else, or it does not tell.
    pub fn begin(path: &Path, wanted: &Wanted) -> anyhow::Result<Self> {
        let reached = Reached::of(path)?;
        let (mut stream, silent) = reached.connect()?;
        let begun = (|| {
            stream.set_write_timeout(Some(SPEAK_TIMEOUT))?;
            stream.set_read_timeout(Some(STEP))?;
            say(&mut stream, &Request::Trace(wanted.clone()))
        })();
        begun.map_err(|error| reached.explain(error, &silent))?;
        let mut following = Self {
            reader: BufReader::new(stream),
            line: Vec::new(),
            heard: Instant::now(),
            silent,
        };
        let answer = following.first_line();
        match answer.map_err(|error| reached.explain(error, &following.silent))? {
            Answer::Tracing { mountpoint, .. } => {
                following.silent.mountpoint = Some(mountpoint);
                Ok(following)
            }
            // What a mount says that knows no such request.
            Answer::Failed { why } if why.starts_with("not understood") => bail!(
                "the musefs at {} is of an older version, which cannot be followed: mount it again",
                path.display()
            ),
            other => Err(super::unexpected(&other)),
        }
    }

    fn first_line(&mut self) -> io::Result<Answer> {
        loop {
            if let Some(line) = self.whole_line()? {
                return Ok(serde_json::from_slice(&line)?);
            }
            if self.is_silent() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// The next line, if one comes soon.
    ///
    /// # Errors
    /// When it is none of a mount's, or the connection fails.
    pub fn hear(&mut self) -> io::Result<Heard> {
        match self.whole_line() {
            Ok(Some(line)) => Ok(Heard::Line(serde_json::from_slice(&line)?)),
            Ok(None) => Ok(Heard::Nothing),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
                ) =>
            {
                Ok(Heard::Closed)
            }
            Err(error) => Err(error),
        }
    }

    /// A line, unless it does not come whole within a step; what came of it is kept.
    fn whole_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.reader.read_until(b'\n', &mut self.line) {
            Ok(_) if self.line.ends_with(b"\n") => {
                self.heard = Instant::now();
                Ok(Some(std::mem::take(&mut self.line)))
            }
            Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if super::silent::is_silence(&error) => {
                if self.line.len() as u64 > LINE_BYTES_MAX {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks for the end: the mount tells what ended before, and then that that is all.
    pub fn finish(&self) {
        // Where the connection is gone already there is nothing to end.
        self.reader.get_ref().shutdown(Shutdown::Write).ok();
    }

    /// Whether the next line is not here yet.
    pub fn is_drained(&self) -> bool {
        self.reader.buffer().is_empty()
    }

    /// Whether nothing was heard for so long that the mount seems to be stuck: one that has nothing to tell says so.
    pub fn is_silent(&self) -> bool {
        self.heard.elapsed() > SPEAK_TIMEOUT
    }

    /// The mount, for saying that it does not answer.
    pub fn mount(&self) -> &Silent {
        &self.silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_told_by_name_and_duration() {
        let wanted = |operations: &[&str], least_ns| Wanted {
            operations: operations.iter().map(ToString::to_string).collect(),
            least_ns,
            follow: true,
        };
        assert!(wanted(&[], 0).takes("read", 0));
        assert!(wanted(&["open", "read"], 5).takes("read", 5));
        assert!(!wanted(&["open", "read"], 5).takes("read", 4));
        assert!(!wanted(&["open"], 0).takes("read", 9));
    }

    #[test]
    fn lines_come_back_as_they_went_and_leave_out_what_is_not_known() {
        let operation = Operation {
            ended_unix_ms: 1,
            request: "2".into(),
            cause: None,
            leader: None,
            operation: "read".into(),
            outcome: "ok".into(),
            duration_ns: 3,
            path: "a b\\n".into(),
            pid: None,
            command: None,
            phases: None,
            tiers: Some(vec![Tier {
                name: "backing".into(),
                outcome: "ok".into(),
                fallback: false,
            }]),
            bytes: None,
        };
        let line = Line::Operation(Box::new(operation));
        let text = serde_json::to_string(&line).unwrap();
        for absent in ["cause", "pid", "phases", "fallback", "bytes"] {
            assert!(!text.contains(absent), "{text}");
        }
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }
}
