//! The kernel's requests: decoded, handed to the core or the metrics directory, and answered. No decision about names,
//! bytes or threads is made here.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenAccMode, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use musefs_core::metrics::ByteSource;
use musefs_core::serve::{
    self, Attempt, Attributes, Error, Found, Handle, HandleId, Musefs, OpenFile, Opening,
    ReadBuffer,
};
use musefs_core::tree::Inode;
use musefs_telemetry::Outcome;
use musefs_telemetry::{event_info, logging};

use crate::dispatch::pool::Subject;
use crate::dispatch::{Asked, Dispatch, OwnedReply, Step, Taken, Told};
use crate::errno::errno;
use crate::invalidate::Telling;
use crate::metrics::Operation;
use crate::metrics_files::{MetricsFiles, NodeId, Snapshot, Target};
use crate::passthrough::Passthrough;
use crate::roots::Roots;
use crate::tuning::{BACKGROUND_REQUESTS_MAX, CONGESTION_THRESHOLD};

/// What the mount shows of every file and directory, whoever owns the backing files.
#[derive(Clone, Copy, Debug)]
pub struct Appearance {
    /// Owner of everything.
    pub uid: u32,
    /// Group of everything.
    pub gid: u32,
    /// Permission bits of track files.
    pub file_mode: u16,
    /// Permission bits of directories.
    pub dir_mode: u16,
    /// How long the kernel may answer for names and attributes itself.
    pub ttl: Duration,
    /// Whether the kernel may keep bytes of files.
    pub keeps_bytes: bool,
}

impl Appearance {
    /// How long the kernel may answer for what the metrics directory has at the moment of `snapshot`.
    fn remembered(&self, snapshot: &Snapshot) -> Duration {
        self.ttl.min(snapshot.may_be_remembered())
    }

    fn attr(
        &self,
        inode: u64,
        kind: FileType,
        perm: u16,
        size: u64,
        mtime: SystemTime,
    ) -> FileAttr {
        FileAttr {
            ino: INodeNo(inode),
            size,
            blocks: size.div_ceil(512),
            atime: mtime,
            mtime,
            ctime: mtime,
            crtime: mtime,
            kind,
            perm,
            nlink: 1,
            uid: self.uid,
            gid: self.gid,
            rdev: 0,
            blksize: BLOCK_BYTES,
            flags: 0,
        }
    }
}

const BLOCK_BYTES: u32 = 4096;
const NAME_BYTES_MAX: u32 = 255;
/// Positions of `.`, `..` and the metrics directory in a listing; the library's entries come after them.
const POSITIONS_BEFORE_ENTRIES: u64 = 3;

/// One mount's filesystem.
#[derive(Debug)]
pub struct Adapter {
    /// The library.
    pub musefs: Arc<Musefs>,
    /// Who answers.
    pub dispatch: Arc<Dispatch>,
    /// The directory inside the mount.
    pub metrics_files: Arc<MetricsFiles>,
    /// Owner, modes, lifetimes.
    pub appearance: Appearance,
    /// The directories that the library's files lie in.
    pub roots: Arc<Roots>,
    /// Tells the kernel what is not true any more while it waits for the answer that makes it so.
    pub telling: Arc<Telling>,
    /// Which open files the kernel reads itself.
    pub passthrough: Arc<Passthrough>,
}

thread_local! {
    /// Each event loop's and worker's buffer, kept from one read to the next.
    static BUFFER: RefCell<ReadBuffer> = RefCell::default();
}

fn core<T>(result: Result<T, Error>) -> Result<T, Errno> {
    result.map_err(|error| errno(&error))
}

/// Opens a file on the pool, a step at a time.
fn open_on_pool(musefs: Arc<Musefs>, file: u64, opening: Opening) -> Result<Step<OpenFile>, Errno> {
    Ok(match core(musefs.open_step(opening))? {
        serve::Step::Done(open) => Step::Done(open),
        serve::Step::Next(opening) => {
            let (waits_for, awaited) = (opening.waits_for(), opening.awaits());
            let subject = Subject { waits_for, file };
            let next = Box::new(move || open_on_pool(musefs, file, opening));
            match awaited {
                None => Step::Next(subject, next),
                Some(flight) => {
                    let later = Box::new(move |wake| flight.when_landed(wake));
                    Step::Later(later, subject, next)
                }
            }
        }
    })
}

/// A read that goes on on the pool, a step at a time.
struct PooledRead {
    musefs: Arc<Musefs>,
    handle: Arc<Handle>,
    file: u64,
    offset: u64,
    len: u64,
    /// What was read already goes along.
    buffer: ReadBuffer,
}

impl PooledRead {
    fn subject(&self) -> Subject {
        let Self { handle, buffer, .. } = self;
        let read = (self.offset, self.len);
        Subject {
            waits_for: self.musefs.read_waits_for(handle, read.0, read.1, buffer),
            file: self.file,
        }
    }

    fn step(mut self) -> Result<Step<ReadBuffer>, Errno> {
        let (offset, len) = (self.offset, self.len);
        let step = self
            .musefs
            .read_step(&self.handle, offset, len, &mut self.buffer);
        Ok(match core(step)? {
            serve::Step::Done(()) => Step::Done(self.buffer),
            serve::Step::Next(waits_for) => {
                let subject = Subject {
                    waits_for,
                    file: self.file,
                };
                Step::Next(subject, Box::new(move || self.step()))
            }
        })
    }
}

/// A read's tiers are where its bytes came from.
impl Told for ReadBuffer {
    fn tell(&self, taken: &mut Taken) {
        taken.brings(self.filled().len());
        for source in self.sources() {
            match source {
                ByteSource::SynthesizedHeader => taken.note("header_cache", Outcome::Hit),
                ByteSource::Art => taken.note("store", Outcome::Ok),
                ByteSource::Readahead => taken.note("readahead", Outcome::Hit),
                ByteSource::Backing if self.missed_readahead() => {
                    if !self.sources().any(|source| source == ByteSource::Readahead) {
                        taken.note("readahead", Outcome::Miss);
                    }
                    taken.note_fallback("backing", Outcome::Ok);
                }
                ByteSource::Backing => taken.note("backing", Outcome::Ok),
            }
        }
    }
}

/// An open's tiers are what it had to ask for where the bytes of the file are.
impl Told for OpenFile {
    fn tell(&self, taken: &mut Taken) {
        match self.found {
            Found::Known => taken.note("header_cache", Outcome::Hit),
            Found::Resolved => {
                taken.note("header_cache", Outcome::Miss);
                taken.note_fallback("store", Outcome::Ok);
                taken.note_fallback("backing", Outcome::Ok);
            }
            Found::Shared(leader) => {
                taken.coalesce(leader);
                taken.note("header_cache", Outcome::Miss);
                taken.note_fallback("leader", Outcome::Hit);
            }
        }
    }
}

impl Adapter {
    /// Takes a request about `inode`.
    fn take(&self, operation: Operation, request: &Request, inode: INodeNo) -> Taken {
        let asked = Asked {
            unique: request.unique().0,
            inode: inode.0,
            process: request.pid(),
        };
        self.dispatch.take(operation, asked)
    }

    fn attr(&self, attributes: &Attributes) -> FileAttr {
        let appearance = &self.appearance;
        let mode = if attributes.is_directory {
            appearance.dir_mode
        } else {
            appearance.file_mode
        };
        let kind = if attributes.is_directory {
            FileType::Directory
        } else {
            FileType::RegularFile
        };
        let mtime = time_of(attributes.mtime_ns);
        let plain = appearance.attr(attributes.inode.0, kind, mode, attributes.size, mtime);
        let listed_here =
            attributes.inode == Inode::ROOT && self.metrics_files.listed_name().is_some();
        FileAttr {
            // Tools that walk a tree take a directory's links for the number of directories that it lists.
            nlink: attributes.link_count + u32::from(listed_here),
            ..plain
        }
    }

    /// Attributes of the link to the metrics directory, which never change.
    fn link_attr(&self) -> FileAttr {
        let files = &self.metrics_files;
        self.appearance.attr(
            MetricsFiles::inode(Target::Link),
            FileType::Symlink,
            0o777,
            files.link_target().len() as u64,
            files.started(),
        )
    }

    /// Attributes of a directory among the metrics, which never change.
    fn metrics_directory_attr(&self, node: NodeId) -> FileAttr {
        metrics_attr(self.appearance, &self.metrics_files, node, None).expect("it is a directory")
    }

    /// Answers with what `look` finds in the newest snapshot: at once when it is warm, else once the lane has rendered it.
    fn with_snapshot<R: OwnedReply, T>(
        &self,
        taken: Taken,
        reply: R,
        look: impl FnOnce(&MetricsFiles, Arc<Snapshot>) -> Result<T, Errno> + Send + 'static,
        give: impl FnOnce(R, T) + Send + 'static,
    ) {
        if let Some(snapshot) = self.metrics_files.warm() {
            let result = look(&self.metrics_files, snapshot);
            return self.dispatch.answer(taken, reply, result, give);
        }
        let files = Arc::clone(&self.metrics_files);
        let work = move || look(&files, files.fresh());
        self.dispatch.hand_to_lane(taken, reply, work, give);
    }

    fn open_file(&self, mut taken: Taken, inode: Inode, reply: ReplyOpen) {
        let (musefs, telling) = (Arc::clone(&self.musefs), Arc::clone(&self.telling));
        let passthrough = Arc::clone(&self.passthrough);
        let keeps_bytes = self.appearance.keeps_bytes;
        let give = move |reply: ReplyOpen, handle: HandleId| {
            let file = musefs.passable(handle);
            if let Some(backing) = passthrough.opened(inode, file.as_deref(), &reply) {
                let flags = FopenFlags::FOPEN_NOFLUSH;
                return reply.opened_passthrough(FileHandle(handle.0), flags, &backing);
            }
            let is_newer = musefs.is_newer_than_its_inode(handle);
            if is_newer {
                telling.forget_attributes(inode);
            }
            let flags = if is_newer || !keeps_bytes {
                FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_NOFLUSH
            } else {
                // An inode stands for one version of the bytes, so what the kernel has cached of it stays right.
                FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH
            };
            reply.opened(FileHandle(handle.0), flags);
        };
        match self.dispatch.guard(|| Ok(self.musefs.open_cached(inode))) {
            Ok(Attempt::Done(result)) => {
                if result.is_ok() {
                    taken.note("header_cache", Outcome::Hit);
                }
                self.dispatch.answer(taken, reply, core(result), give);
                self.resolve_ahead(inode);
            }
            Ok(Attempt::WouldBlock) => match core(self.musefs.begin_open(inode)) {
                Ok(opening) => {
                    let (musefs, file) = (Arc::clone(&self.musefs), inode.0);
                    let waits_for = opening.waits_for();
                    let work = move || open_on_pool(musefs, file, opening);
                    let give = move |reply, open: OpenFile| give(reply, open.handle);
                    self.dispatch.hand_to_pool(
                        taken,
                        Subject { waits_for, file },
                        reply,
                        work,
                        give,
                    );
                    self.resolve_ahead(inode);
                }
                Err(error) => self.dispatch.answer(taken, reply, Err(error), give),
            },
            Err(error) => self.dispatch.answer(taken, reply, Err(error), give),
        }
    }

    /// Notes that `inode` was opened, and has resolved what may be opened next.
    fn resolve_ahead(&self, inode: Inode) {
        if let Ok(Some(ahead)) = self.dispatch.guard(|| Ok(self.musefs.opened(inode))) {
            self.dispatch.resolve_ahead(&self.musefs, ahead);
        }
    }

    fn read_file(
        &self,
        mut taken: Taken,
        inode: Inode,
        handle: HandleId,
        offset: u64,
        len: u32,
        reply: ReplyData,
    ) {
        let handle = match core(self.musefs.handle(handle)) {
            Ok(handle) => handle,
            Err(error) => {
                taken.note("handle", Outcome::Miss);
                return self.dispatch.refuse(taken, reply, error);
            }
        };
        taken.note("handle", Outcome::Hit);
        let (dispatch, process) = (Arc::clone(&self.dispatch), taken.process());
        if let Ok(Some(mapped)) = self
            .dispatch
            .guard(|| Ok(self.musefs.read_mapped(&handle, offset, len.into())))
        {
            taken.note("backing", Outcome::Ok);
            taken.brings(mapped.for_the_kernel().len());
            self.dispatch.answer(taken, reply, Ok(()), |reply, ()| {
                let bytes = mapped.for_the_kernel();
                dispatch.gives(process, bytes.len());
                reply.data(bytes);
            });
            if !self.musefs.is_still_what_was_mapped(&handle) {
                self.telling.forget_bytes(inode);
            }
            return;
        }
        BUFFER.with_borrow_mut(|buffer| {
            let attempt = self
                .dispatch
                .guard(|| Ok(self.musefs.read_cached(&handle, offset, len.into(), buffer)));
            match attempt {
                Ok(Attempt::Done(result)) => {
                    // Let go of before its reader hears, who may close it at once: then it is known that nobody reads it.
                    drop(handle);
                    buffer.tell(&mut taken);
                    self.dispatch
                        .answer(taken, reply, core(result), |reply, ()| {
                            dispatch.gives(process, buffer.filled().len());
                            reply.data(buffer.filled());
                        });
                }
                Ok(Attempt::WouldBlock) => {
                    let read = PooledRead {
                        musefs: Arc::clone(&self.musefs),
                        handle: Arc::clone(&handle),
                        file: inode.0,
                        offset,
                        len: len.into(),
                        buffer: std::mem::take(buffer),
                    };
                    let (asked, musefs) = (Instant::now(), Arc::clone(&self.musefs));
                    let give = move |reply: ReplyData, read: ReadBuffer| {
                        musefs.note_read(&handle, &read, asked.elapsed());
                        dispatch.gives(process, read.filled().len());
                        reply.data(read.filled());
                    };
                    let (subject, work) = (read.subject(), move || read.step());
                    self.dispatch
                        .hand_to_pool(taken, subject, reply, work, give);
                }
                Err(error) => self.dispatch.refuse(taken, reply, error),
            }
        });
    }

    /// Gives the entries of a directory of the tree from `from` on to `emit` (inode, position after it, name,
    /// attributes, how long they may be remembered), which returns whether there is room for more.
    fn list(
        &self,
        inode: Inode,
        handle: Option<HandleId>,
        from: u64,
        emit: &mut dyn FnMut(u64, u64, &OsStr, &FileAttr, Duration) -> bool,
    ) -> Result<(), Errno> {
        let ttl = self.appearance.ttl;
        let [own, parent] = core(self.musefs.directory_and_parent(inode, handle))?;
        let is_root = own.inode == parent.inode;
        let first = [(0, ".", self.attr(&own)), (1, "..", self.attr(&parent))];
        let metrics = self
            .metrics_files
            .listed_name()
            .filter(|_| is_root)
            .map(|name| (2, name, self.metrics_directory_attr(NodeId::ROOT)));
        for (position, name, attr) in first.into_iter().chain(metrics) {
            if position >= from && !emit(attr.ino.0, position + 1, OsStr::new(name), &attr, ttl) {
                return Ok(());
            }
        }
        let from = from.saturating_sub(POSITIONS_BEFORE_ENTRIES);
        core(self.musefs.list(inode, handle, from, &mut |entry| {
            let attr = self.attr(&entry.attributes);
            let next = entry.next + POSITIONS_BEFORE_ENTRIES;
            let ttl = if entry.is_newest { ttl } else { Duration::ZERO };
            emit(attr.ino.0, next, OsStr::from_bytes(entry.name), &attr, ttl)
        }))
    }
}

fn time_of(nanoseconds: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    let time = if nanoseconds < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(UNIX_EPOCH)
}

/// Attributes of a file or directory among the metrics at the moment of `snapshot`, which directories can do without; `None`
/// for a file that is not there then.
fn metrics_attr(
    appearance: Appearance,
    files: &MetricsFiles,
    node: NodeId,
    snapshot: Option<&Snapshot>,
) -> Option<FileAttr> {
    let (inode, mode) = (MetricsFiles::inode(Target::Metrics(node)), files.mode(node));
    if files.is_directory(node) {
        let plain = appearance.attr(inode, FileType::Directory, mode, 0, files.started());
        return Some(FileAttr {
            nlink: files.link_count(node),
            ..plain
        });
    }
    let snapshot = snapshot?;
    let len = files.len(node, snapshot)? as u64;
    Some(appearance.attr(inode, FileType::RegularFile, mode, len, snapshot.time))
}

/// The handle of an open directory; 0 is a directory that is listed without one.
fn directory_handle(handle: FileHandle) -> Option<HandleId> {
    (handle.0 != 0).then_some(HandleId(handle.0))
}

/// Requests that a read-only filesystem has no use for. The first answer of each kind makes the kernel stop asking.
macro_rules! declined {
    ($($name:ident($($argument:ty),*) -> $reply:ty;)*) => { $(
        fn $name(&self, _: &Request, $(_: $argument,)* reply: $reply) {
            reply.error(Errno::ENOSYS);
        }
    )* };
}

impl Filesystem for Adapter {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        for wanted in [
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_PARALLEL_DIROPS,
        ] {
            if config.add_capabilities(wanted).is_err() {
                event_info!(
                    logging::engine(),
                    "kernel.capability.missing",
                    message = %format_args!("this kernel has no {wanted:?}"),
                    setting = ?wanted,
                );
            }
        }
        self.passthrough.agree(config);
        config
            .set_max_background(BACKGROUND_REQUESTS_MAX)
            .map_err(|least| {
                std::io::Error::other(format!("at least {least} background requests"))
            })?;
        config
            .set_congestion_threshold(CONGESTION_THRESHOLD)
            .map_err(|least| {
                std::io::Error::other(format!("a congestion threshold of at least {least}"))
            })?;
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut taken = self.take(Operation::Lookup, request, parent);
        let ttl = self.appearance.ttl;
        let give = move |reply: ReplyEntry, attr: FileAttr| reply.entry(&ttl, &attr, Generation(0));
        match self.metrics_files.decode(parent.0) {
            Target::Tree(inode) => {
                let fixed = if inode == Inode::ROOT {
                    self.metrics_files.at_root(name)
                } else {
                    None
                };
                let result = match fixed {
                    Some(Target::Metrics(node)) => Ok(self.metrics_directory_attr(node)),
                    Some(_) => Ok(self.link_attr()),
                    None => self.dispatch.guard(|| {
                        core(self.musefs.lookup(inode, name.as_bytes()))
                            .map(|attributes| self.attr(&attributes))
                    }),
                };
                if let Ok(found) = &result {
                    taken.is_about(found.ino.0);
                }
                if matches!(result, Err(Errno::ENOENT)) && !ttl.is_zero() {
                    // Said as an entry without an inode, the kernel remembers that there is none.
                    let absent = self
                        .appearance
                        .attr(0, FileType::RegularFile, 0, 0, UNIX_EPOCH);
                    return self.dispatch.answer_as(taken, Errno::ENOENT, || {
                        reply.entry(&ttl, &absent, Generation(0));
                    });
                }
                self.dispatch.answer(taken, reply, result, give);
            }
            Target::Metrics(parent) if self.metrics_files.is_directory(parent) => {
                let Some(node) = self.metrics_files.child(parent, name) else {
                    return self.dispatch.answer(taken, reply, Err(Errno::ENOENT), give);
                };
                taken.is_about(MetricsFiles::inode(Target::Metrics(node)));
                let appearance = self.appearance;
                self.with_snapshot(
                    taken,
                    reply,
                    move |files, snapshot| {
                        metrics_attr(appearance, files, node, Some(&snapshot))
                            .map(|attr| (attr, snapshot))
                            .ok_or(Errno::ENOENT)
                    },
                    move |reply, (attr, snapshot)| {
                        reply.entry(&appearance.remembered(&snapshot), &attr, Generation(0));
                    },
                );
            }
            Target::Link | Target::Metrics(_) => {
                self.dispatch
                    .answer(taken, reply, Err(Errno::ENOTDIR), give);
            }
        }
    }

    fn getattr(&self, request: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let taken = self.take(Operation::Getattr, request, inode);
        let result = match self.metrics_files.decode(inode.0) {
            Target::Metrics(node) if self.metrics_files.is_directory(node) => {
                Ok(self.metrics_directory_attr(node))
            }
            Target::Metrics(node) => {
                let appearance = self.appearance;
                return self.with_snapshot(
                    taken,
                    reply,
                    move |files, snapshot| {
                        metrics_attr(appearance, files, node, Some(&snapshot))
                            .map(|attr| (attr, snapshot))
                            .ok_or(Errno::ESTALE)
                    },
                    move |reply, (attr, snapshot)| {
                        reply.attr(&appearance.remembered(&snapshot), &attr);
                    },
                );
            }
            Target::Link => Ok(self.link_attr()),
            Target::Tree(inode) => self.dispatch.guard(|| {
                core(self.musefs.getattr(inode)).map(|attributes| self.attr(&attributes))
            }),
        };
        self.dispatch.answer(taken, reply, result, |reply, attr| {
            reply.attr(&self.appearance.ttl, &attr);
        });
    }

    fn readlink(&self, request: &Request, inode: INodeNo, reply: ReplyData) {
        let taken = self.take(Operation::Readlink, request, inode);
        let result = match self.metrics_files.decode(inode.0) {
            Target::Link => Ok(self.metrics_files.link_target()),
            Target::Tree(_) | Target::Metrics(_) => Err(Errno::EINVAL),
        };
        self.dispatch.answer(taken, reply, result, |reply, target| {
            reply.data(target.as_bytes());
        });
    }

    fn open(&self, request: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let taken = self.take(Operation::Open, request, inode);
        if flags.acc_mode() != OpenAccMode::O_RDONLY {
            return self.dispatch.refuse(taken, reply, Errno::EROFS);
        }
        match self.metrics_files.decode(inode.0) {
            Target::Tree(inode) => self.open_file(taken, inode, reply),
            Target::Metrics(node) if self.metrics_files.is_directory(node) => {
                self.dispatch.refuse(taken, reply, Errno::EISDIR);
            }
            Target::Metrics(node) => self.with_snapshot(
                taken,
                reply,
                move |files, snapshot| {
                    let text = files.text(node, &snapshot).ok_or(Errno::ESTALE)?;
                    Ok(files.open(text))
                },
                |reply, handle| {
                    let flags = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_NOFLUSH;
                    reply.opened(FileHandle(handle), flags);
                },
            ),
            Target::Link => self.dispatch.refuse(taken, reply, Errno::EINVAL),
        }
    }

    fn read(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let taken = self.take(Operation::Read, request, inode);
        let Target::Metrics(_) = self.metrics_files.decode(inode.0) else {
            let (inode, handle) = (Inode(inode.0), HandleId(handle.0));
            return self.read_file(taken, inode, handle, offset, size, reply);
        };
        let text = self.metrics_files.opened(handle.0).ok_or(Errno::EBADF);
        self.dispatch.answer(taken, reply, text, |reply, text| {
            let start = usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(text.len());
            let end = start.saturating_add(size as usize).min(text.len());
            reply.data(&text[start..end]);
        });
    }

    fn release(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        let taken = self.take(Operation::Release, request, inode);
        let result = match self.metrics_files.decode(inode.0) {
            Target::Metrics(_) => self
                .metrics_files
                .release(handle.0)
                .then_some(())
                .ok_or(Errno::EBADF),
            _ => self.dispatch.guard(|| {
                let released = core(self.musefs.release(HandleId(handle.0)))?;
                self.passthrough.released(Inode(inode.0));
                if let Some(waits_for) = released.waits_for() {
                    let file = inode.0;
                    self.dispatch
                        .leave_to_pool(Subject { waits_for, file }, move || drop(released));
                }
                Ok(())
            }),
        };
        self.dispatch
            .answer(taken, reply, result, |reply, ()| reply.ok());
    }

    fn opendir(&self, request: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let taken = self.take(Operation::Opendir, request, inode);
        let result = match self.metrics_files.decode(inode.0) {
            Target::Tree(inode) => self.dispatch.guard(|| core(self.musefs.opendir(inode))),
            Target::Metrics(node) if self.metrics_files.is_directory(node) => Ok(None),
            Target::Link | Target::Metrics(_) => Err(Errno::ENOTDIR),
        };
        self.dispatch.answer(taken, reply, result, |reply, handle| {
            reply.opened(
                FileHandle(handle.map_or(0, |handle| handle.0)),
                FopenFlags::empty(),
            );
        });
    }

    fn readdir(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let taken = self.take(Operation::Readdir, request, inode);
        match self.metrics_files.decode(inode.0) {
            Target::Tree(inode) => {
                let result = self.dispatch.guard(|| {
                    self.list(
                        inode,
                        directory_handle(handle),
                        offset,
                        &mut |inode, next, name, attr, _| {
                            !reply.add(INodeNo(inode), next, attr.kind, name)
                        },
                    )
                });
                self.dispatch
                    .answer(taken, reply, result, |reply, ()| reply.ok());
            }
            Target::Link => self.dispatch.refuse(taken, reply, Errno::ENOTDIR),
            Target::Metrics(node) => {
                let files = Arc::clone(&self.metrics_files);
                let give = move |mut reply: ReplyDirectory, snapshot: Arc<Snapshot>| {
                    for (target, next, name) in files.listing(node, &snapshot, offset) {
                        let is_file =
                            matches!(target, Target::Metrics(node) if !files.is_directory(node));
                        let kind = if is_file {
                            FileType::RegularFile
                        } else {
                            FileType::Directory
                        };
                        if reply.add(INodeNo(MetricsFiles::inode(target)), next, kind, name) {
                            break;
                        }
                    }
                    reply.ok();
                };
                self.with_snapshot(taken, reply, |_, snapshot| Ok(snapshot), give);
            }
        }
    }

    fn readdirplus(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let taken = self.take(Operation::Readdir, request, inode);
        match self.metrics_files.decode(inode.0) {
            Target::Tree(inode) => {
                let result = self.dispatch.guard(|| {
                    self.list(
                        inode,
                        directory_handle(handle),
                        offset,
                        &mut |inode, next, name, attr, ttl| {
                            !reply.add(INodeNo(inode), next, name, &ttl, attr, Generation(0))
                        },
                    )
                });
                self.dispatch
                    .answer(taken, reply, result, |reply, ()| reply.ok());
            }
            Target::Link => self.dispatch.refuse(taken, reply, Errno::ENOTDIR),
            Target::Metrics(node) => {
                let (appearance, files) = (self.appearance, Arc::clone(&self.metrics_files));
                let give = move |mut reply: ReplyDirectoryPlus, snapshot: Arc<Snapshot>| {
                    for (target, next, name) in files.listing(node, &snapshot, offset) {
                        let attr = match target {
                            Target::Metrics(node) => {
                                metrics_attr(appearance, &files, node, Some(&snapshot))
                                    .expect("what is listed is there")
                            }
                            // The root, which the kernel does not take the attributes of from here.
                            other => appearance.attr(
                                MetricsFiles::inode(other),
                                FileType::Directory,
                                appearance.dir_mode,
                                0,
                                files.started(),
                            ),
                        };
                        let ttl = appearance.remembered(&snapshot);
                        if reply.add(attr.ino, next, name, &ttl, &attr, Generation(0)) {
                            break;
                        }
                    }
                    reply.ok();
                };
                self.with_snapshot(taken, reply, |_, snapshot| Ok(snapshot), give);
            }
        }
    }

    fn releasedir(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        let taken = self.take(Operation::Releasedir, request, inode);
        if let Some(handle) = directory_handle(handle) {
            self.musefs.releasedir(handle);
        }
        self.dispatch
            .answer(taken, reply, Ok(()), |reply, ()| reply.ok());
    }

    fn statfs(&self, request: &Request, inode: INodeNo, reply: ReplyStatfs) {
        let taken = self.take(Operation::Statfs, request, inode);
        let (bytes, files) = self.musefs.usage();
        let block = u64::from(BLOCK_BYTES);
        let free = self.roots.seen().free_bytes / block;
        self.dispatch.answer(taken, reply, Ok(()), |reply, ()| {
            reply.statfs(
                bytes.div_ceil(block) + free,
                free,
                free,
                files,
                files,
                BLOCK_BYTES,
                NAME_BYTES_MAX,
                BLOCK_BYTES,
            );
        });
    }

    declined! {
        flush(INodeNo, FileHandle, LockOwner) -> ReplyEmpty;
        access(INodeNo, fuser::AccessFlags) -> ReplyEmpty;
        getxattr(INodeNo, &OsStr, u32) -> ReplyXattr;
        listxattr(INodeNo, u32) -> ReplyXattr;
        ioctl(INodeNo, FileHandle, fuser::IoctlFlags, u32, &[u8], u32) -> fuser::ReplyIoctl;
        poll(INodeNo, FileHandle, fuser::PollNotifier, fuser::PollEvents, fuser::PollFlags) -> fuser::ReplyPoll;
        lseek(INodeNo, FileHandle, i64, i32) -> fuser::ReplyLseek;
    }
}
