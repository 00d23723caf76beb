//! Where the metrics come from: a mount on this machine, or wherever one listens.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::moment::Moment;
use crate::cli::StatsArgs;
use crate::commands::Failure;
use crate::commands::metrics::source::{self, Mounted};

/// How long a listener may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Longest text that is read, in bytes.
const TEXT_BYTES_MAX: u64 = 64 << 20;
/// The text on a listener.
const PATH: &str = "/json";

/// One mount, however it is reached.
#[derive(Debug)]
pub enum Source {
    /// Here.
    Mount(Mounted),
    /// At an address.
    Address(Address),
}

/// Where a mount listens.
#[derive(Debug)]
pub struct Address {
    place: Place,
    token: Option<String>,
}

#[derive(Debug)]
enum Place {
    Url(String),
    Socket(PathBuf),
}

impl Source {
    /// What the command line means.
    ///
    /// # Errors
    /// When there is no such mount, the address is none, or the token cannot be read.
    pub fn of(args: &StatsArgs) -> Result<Self, Failure> {
        let token = args.token_file.as_deref().map(token_in).transpose()?;
        let found = match args.source.as_deref() {
            None => source::Source::only_mount()?,
            Some(address) if address.starts_with("http://") || address.starts_with("https://") => {
                return Ok(Self::Address(Address {
                    place: Place::Url(address.trim_end_matches('/').to_owned()),
                    token,
                }));
            }
            Some(address) => match address.strip_prefix("unix:") {
                Some(path) => {
                    return Ok(Self::Address(Address {
                        place: Place::Socket(path.into()),
                        token,
                    }));
                }
                None => source::Source::of(Path::new(address))?,
            },
        };
        match found {
            source::Source::Mount(mount) => Ok(Self::Mount(mount)),
            source::Source::File(path) => Err(Failure::usage(anyhow::anyhow!(
                "{} is a file; give a mount, or where one listens: http://… or unix:PATH",
                path.display()
            ))),
        }
    }

    /// The values of now. May wait for as long as the mount does not answer.
    ///
    /// # Errors
    /// When it does not answer, or with something else.
    pub fn moment(&self) -> Result<Moment> {
        let text = match self {
            Self::Mount(mount) => mount.text("metrics.json")?,
            Self::Address(address) => address.text()?,
        };
        Moment::parse(&text)
            .with_context(|| format!("what {self} answers are not the metrics of a musefs"))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mount(mount) => write!(formatter, "{}", mount.point().display()),
            Self::Address(address) => match &address.place {
                Place::Url(url) => formatter.write_str(url),
                Place::Socket(path) => write!(formatter, "unix:{}", path.display()),
            },
        }
    }
}

impl Address {
    fn text(&self) -> Result<Vec<u8>> {
        match &self.place {
            Place::Url(url) => self.over_network(url),
            Place::Socket(path) => self
                .over_socket(path)
                .with_context(|| format!("no musefs answers at unix:{}", path.display())),
        }
    }

    fn over_network(&self, url: &str) -> Result<Vec<u8>> {
        let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER_LIMIT));
        let mut request = ureq::Agent::from(config.build()).get(format!("{url}{PATH}"));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut answer = match request.call() {
            Err(ureq::Error::StatusCode(code)) => return Err(refused(url, code)),
            answer => answer.with_context(|| format!("no musefs answers at {url}"))?,
        };
        let body = answer.body_mut().with_config().limit(TEXT_BYTES_MAX);
        body.read_to_vec()
            .with_context(|| format!("the answer of {url} ended early"))
    }

    /// By the oldest version of the protocol, in which an answer ends with its connection.
    fn over_socket(&self, path: &Path) -> Result<Vec<u8>> {
        let mut stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.set_write_timeout(Some(ANSWER_LIMIT))?;
        let token = self.token.as_ref();
        let token = token.map_or(String::new(), |token| {
            format!("Authorization: Bearer {token}\r\n")
        });
        write!(
            stream,
            "GET {PATH} HTTP/1.0\r\nHost: localhost\r\n{token}\r\n"
        )?;
        let mut answer = Vec::new();
        stream.take(TEXT_BYTES_MAX).read_to_end(&mut answer)?;
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = head.parse(&answer)? else {
            bail!("the answer ended early");
        };
        match head.code {
            Some(200) => Ok(answer.split_off(length)),
            code => Err(refused(
                &format!("unix:{}", path.display()),
                code.unwrap_or(0),
            )),
        }
    }
}

fn refused(place: &str, code: u16) -> anyhow::Error {
    match code {
        401 | 403 => anyhow::anyhow!("{place} wants a token: give --token-file"),
        code => anyhow::anyhow!("{place} answers with code {code}"),
    }
}

fn token_in(path: &Path) -> io::Result<String> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot read the token in {}: {error}", path.display()),
        )
    })?;
    Ok(text.trim().to_owned())
}
