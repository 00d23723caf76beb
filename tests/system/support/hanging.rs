//! A filesystem of the tests' own, with files in memory, that stops answering for a file or for all when it is told to, and goes on
//! when it is told to. What it does not answer costs no thread: the reply is put aside.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, Request, Session, SessionACL,
};

use super::audio::{self, Sound};
use super::library::Library;
use super::mount::{detach, is_mounted};
use super::process::{musefs, run};

const TTL: Duration = Duration::from_secs(3600);
/// The root is 1; files come after.
const FIRST_FILE: u64 = 2;

/// What is not answered now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stuck {
    pub reads: bool,
    pub opens: bool,
    /// What closing a file waits for.
    pub flushes: bool,
}

#[derive(Default)]
struct State {
    stuck: Stuck,
    /// The file that `stuck` is about; else it is about all.
    stuck_file: Option<String>,
    /// Nobody is told how much room there is, which the kernel asks for each time.
    whole_stuck: bool,
    /// How long each read takes.
    delay: Duration,
    held: Vec<Box<dyn FnOnce() + Send>>,
}

type Named = Arc<RwLock<Vec<(String, Arc<[u8]>)>>>;

struct Files {
    named: Named,
    made: SystemTime,
    state: Arc<Mutex<State>>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Files {
    fn attr(&self, inode: u64) -> Option<FileAttr> {
        let (kind, perm, size) = if inode == INodeNo::ROOT.0 {
            (FileType::Directory, 0o755, 0)
        } else {
            let (_, bytes) = self.file(inode)?;
            (FileType::RegularFile, 0o644, bytes.len() as u64)
        };
        Some(FileAttr {
            ino: INodeNo(inode),
            size,
            blocks: size.div_ceil(512),
            atime: self.made,
            mtime: self.made,
            ctime: self.made,
            crtime: self.made,
            kind,
            perm,
            nlink: 1,
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    fn file(&self, inode: u64) -> Option<(String, Arc<[u8]>)> {
        let index = usize::try_from(inode.checked_sub(FIRST_FILE)?).ok()?;
        self.named().get(index).cloned()
    }

    fn named(&self) -> Vec<(String, Arc<[u8]>)> {
        let named = self.named.read();
        named.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers a request about a file now, or when the filesystem is released.
    fn answer(
        &self,
        inode: u64,
        is_stuck: impl FnOnce(Stuck) -> bool,
        give: impl FnOnce() + Send + 'static,
    ) {
        let mut state = lock(&self.state);
        let is_it = self
            .file(inode)
            .is_some_and(|(name, _)| state.stuck_file.as_ref().is_none_or(|stuck| *stuck == name));
        if is_it && is_stuck(state.stuck) {
            state.held.push(Box::new(give));
        } else {
            drop(state);
            give();
        }
    }
}

impl Filesystem for Files {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = (FIRST_FILE..)
            .zip(self.named())
            .find(|(_, (known, _))| OsStr::new(known) == name)
            .and_then(|(inode, _)| self.attr(inode));
        match found {
            Some(attr) => reply.entry(&TTL, &attr, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attr(inode.0) {
            Some(attr) => reply.attr(&TTL, &attr),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.answer(
            inode.0,
            |stuck| stuck.opens,
            move || reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO),
        );
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let Some((_, bytes)) = self.file(inode.0) else {
            return reply.error(Errno::ENOENT);
        };
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let end = start.saturating_add(size as usize).min(bytes.len());
        let part = bytes[start..end].to_vec();
        let delay = lock(&self.state).delay;
        std::thread::sleep(delay);
        self.answer(inode.0, |stuck| stuck.reads, move || reply.data(&part));
    }

    fn flush(&self, _: &Request, inode: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        self.answer(inode.0, |stuck| stuck.flushes, move || reply.ok());
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: fuser::ReplyStatfs) {
        let give = move || reply.statfs(1000, 500, 500, 10, 10, 4096, 255, 4096);
        let mut state = lock(&self.state);
        if state.whole_stuck {
            state.held.push(Box::new(give));
        } else {
            drop(state);
            give();
        }
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let own = [
            (INodeNo::ROOT.0, FileType::Directory, "."),
            (INodeNo::ROOT.0, FileType::Directory, ".."),
        ];
        let named = self.named();
        let files = (FIRST_FILE..)
            .zip(&named)
            .map(|(inode, (name, _))| (inode, FileType::RegularFile, name.as_str()));
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        for (next, (inode, kind, name)) in (1..).zip(own.into_iter().chain(files)).skip(skip) {
            if reply.add(INodeNo(inode), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}

/// The filesystem, mounted until it is dropped.
pub struct Hanging {
    path: PathBuf,
    named: Named,
    state: Arc<Mutex<State>>,
    session: Option<BackgroundSession>,
}

impl Hanging {
    /// Serves `files` (name and content) at `path`, an empty directory.
    pub fn mount(path: &Path, files: Vec<(String, Vec<u8>)>) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let files = files.into_iter().map(|(name, bytes)| (name, bytes.into()));
        let named: Named = Arc::new(RwLock::new(files.collect()));
        let filesystem = Files {
            named: Arc::clone(&named),
            made: SystemTime::now(),
            state: Arc::clone(&state),
        };
        let mut config = Config::default();
        config.mount_options = vec![MountOption::RO, MountOption::FSName("hanging".into())];
        config.acl = SessionACL::Owner;
        let session = Session::new(filesystem, path, &config)
            .and_then(Session::spawn)
            .expect("a filesystem of the test's own can be mounted");
        Self {
            path: path.to_path_buf(),
            named,
            state,
            session: Some(session),
        }
    }

    /// One below `library` with a file that is long enough to hang in, `long.flac`, scanned into its store.
    #[track_caller]
    pub fn scanned(library: &Library) -> Self {
        let path = library.path().join("hung");
        std::fs::create_dir(&path).expect("a new directory");
        let long = std::fs::read(audio::sample(Sound::LongFlac)).expect("a sample");
        let hung = Self::mount(&path, vec![("long.flac".into(), long)]);
        run(musefs(["scan", "-q", "--db"]).arg(library.db()).arg(&path)).done();
        hung
    }

    /// Stops answering what is asked of one file.
    pub fn stick(&self, file: &str, stuck: Stuck) {
        let mut state = lock(&self.state);
        state.stuck = stuck;
        state.stuck_file = Some(file.to_owned());
    }

    /// Stops answering what is asked of any file.
    pub fn stick_all(&self, stuck: Stuck) {
        let mut state = lock(&self.state);
        state.stuck = stuck;
        state.stuck_file = None;
    }

    /// Has one file more.
    pub fn add(&self, name: &str, bytes: Vec<u8>) {
        let named = self.named.write();
        let mut named = named.unwrap_or_else(PoisonError::into_inner);
        named.push((name.to_owned(), bytes.into()));
    }

    /// Stops answering what is asked of the filesystem as a whole.
    pub fn stick_whole(&self) {
        lock(&self.state).whole_stuck = true;
    }

    /// Takes so long for each read from now on.
    pub fn slow_down(&self, delay: Duration) {
        lock(&self.state).delay = delay;
    }

    /// Requests that wait for an answer.
    pub fn held(&self) -> usize {
        lock(&self.state).held.len()
    }

    /// Answers all that waits, and all that comes.
    pub fn release(&self) {
        let held = {
            let mut state = lock(&self.state);
            state.stuck = Stuck::default();
            state.whole_stuck = false;
            std::mem::take(&mut state.held)
        };
        for give in held {
            give();
        }
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.release();
        if is_mounted(&self.path) {
            detach(&self.path);
        }
        // Not joined: somebody may have a file open still, which keeps the session going.
        drop(self.session.take());
    }
}
