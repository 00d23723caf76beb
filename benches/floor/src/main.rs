//! `musefs-floor MOUNTPOINT DIR`: the least that a filesystem of this FUSE library can do. It serves the names and sizes of DIR,
//! read once at the start, from memory, and as the bytes of every file the beginning of the largest one, straight from a
//! mapping. No names are made, nothing is resolved, counted or watched; what musefs takes longer is what musefs costs.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData,
    ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyOpen, Request, SessionACL,
};
use memmap2::Mmap;

/// As long as musefs lets the kernel remember.
const TTL: Duration = Duration::from_secs(60);
const BACKGROUND_REQUESTS_MAX: u16 = 64;
const EVENT_LOOPS_MIN: usize = 2;
/// How far the kernel reads ahead, where this process may say so. A request holds no more.
const READ_AHEAD_KIB: u32 = 1024;

/// A file or directory; its inode number is its place in the list, plus one.
struct Node {
    size: u64,
    parent: u64,
    /// Names and inodes, of a directory.
    children: Option<Vec<(OsString, u64)>>,
}

struct Floor {
    nodes: Vec<Node>,
    names: HashMap<(u64, OsString), u64>,
    bytes: Mmap,
    uid: u32,
    gid: u32,
}

impl Floor {
    /// Reads names and sizes below `dir`, and maps the largest file.
    fn of(dir: &Path) -> anyhow::Result<Self> {
        let mut nodes = vec![Node {
            size: 0,
            parent: 1,
            children: Some(Vec::new()),
        }];
        let mut names = HashMap::new();
        let mut largest: (u64, PathBuf) = (0, PathBuf::new());
        let mut to_do = vec![(1_u64, dir.to_owned())];
        while let Some((parent, path)) = to_do.pop() {
            let mut children = Vec::new();
            for entry in path
                .read_dir()
                .with_context(|| path.display().to_string())?
            {
                let entry = entry?;
                let metadata = entry.metadata()?;
                let inode = nodes.len() as u64 + 1;
                let is_directory = metadata.is_dir();
                nodes.push(Node {
                    size: if is_directory { 0 } else { metadata.len() },
                    parent,
                    children: is_directory.then(Vec::new),
                });
                if is_directory {
                    to_do.push((inode, entry.path()));
                } else if metadata.len() > largest.0 {
                    largest = (metadata.len(), entry.path());
                }
                names.insert((parent, entry.file_name()), inode);
                children.push((entry.file_name(), inode));
            }
            nodes[index(parent)].children = Some(children);
        }
        let file = File::open(&largest.1)
            .with_context(|| format!("no file to map in {}", dir.display()))?;
        #[expect(unsafe_code, reason = "mapping a file")]
        // SAFETY: the corpus of a benchmark is written before anything is mounted and stays as it is until the end.
        let bytes = unsafe { Mmap::map(&file) }?;
        let owner = dir.metadata()?;
        Ok(Self {
            nodes,
            names,
            bytes,
            uid: owner.uid(),
            gid: owner.gid(),
        })
    }

    fn attr(&self, inode: u64) -> Option<FileAttr> {
        let node = self.nodes.get(index(inode))?;
        let is_directory = node.children.is_some();
        Some(FileAttr {
            ino: INodeNo(inode),
            size: node.size,
            blocks: node.size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_directory {
                FileType::Directory
            } else {
                FileType::RegularFile
            },
            perm: if is_directory { 0o555 } else { 0o444 },
            nlink: if is_directory { 2 } else { 1 },
            uid: self.uid,
            gid: self.gid,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    /// Entries of a directory from position `from` on, each with the position after it.
    fn entries(
        &self,
        inode: u64,
        from: u64,
    ) -> Option<impl Iterator<Item = (u64, &OsStr, FileAttr)>> {
        let node = self.nodes.get(index(inode))?;
        let own = [(OsStr::new("."), inode), (OsStr::new(".."), node.parent)];
        let children = node.children.as_ref()?.iter();
        Some(
            own.into_iter()
                .chain(children.map(|(name, inode)| (name.as_os_str(), *inode)))
                .zip(1..)
                .skip(usize::try_from(from).unwrap_or(usize::MAX))
                .filter_map(|((name, inode), next)| Some((next, name, self.attr(inode)?))),
        )
    }
}

fn index(inode: u64) -> usize {
    usize::try_from(inode.wrapping_sub(1)).unwrap_or(usize::MAX)
}

impl Filesystem for Floor {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        for wanted in [
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_PARALLEL_DIROPS,
        ] {
            config.add_capabilities(wanted).ok();
        }
        config.set_max_readahead(READ_AHEAD_KIB * 1024).ok();
        config.set_max_background(BACKGROUND_REQUESTS_MAX).ok();
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let inode = self.names.get(&(parent.0, name.to_owned()));
        match inode.and_then(|inode| self.attr(*inode)) {
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

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH;
        reply.opened(FileHandle(0), flags);
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        len: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let size = self
            .nodes
            .get(index(inode.0))
            .map_or(0, |node| node.size)
            .min(self.bytes.len() as u64);
        let start = offset.min(size);
        let end = (start + u64::from(len)).min(size);
        // Both are at most the length of the mapping.
        let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
        reply.data(&self.bytes[range]);
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn readdir(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let Some(entries) = self.entries(inode.0, offset) else {
            return reply.error(Errno::ENOTDIR);
        };
        for (next, name, attr) in entries {
            if reply.add(attr.ino, next, attr.kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn readdirplus(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let Some(entries) = self.entries(inode.0, offset) else {
            return reply.error(Errno::ENOTDIR);
        };
        for (next, name, attr) in entries {
            if reply.add(attr.ino, next, name, &TTL, &attr, Generation(0)) {
                break;
            }
        }
        reply.ok();
    }

    fn access(&self, _: &Request, _: INodeNo, _: fuser::AccessFlags, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }
}

/// Lets the kernel read ahead as far as one request reaches. Only root may.
fn set_read_ahead(mountpoint: &Path) {
    let Ok(metadata) = mountpoint.metadata() else {
        return;
    };
    let device = metadata.dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let setting = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
    std::fs::write(setting, READ_AHEAD_KIB.to_string()).ok();
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(mountpoint), Some(dir), None) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err(anyhow!("usage: musefs-floor MOUNTPOINT DIR"));
    };
    let floor = Floor::of(&dir)?;
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::RO,
        MountOption::NoAtime,
        MountOption::DefaultPermissions,
        MountOption::FSName("musefs-floor".into()),
    ];
    config.acl = SessionACL::Owner;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    config.n_threads = Some(cores.max(EVENT_LOOPS_MIN));
    config.clone_fd = true;
    let session = fuser::spawn_mount(floor, &mountpoint, &config)?;
    set_read_ahead(&mountpoint);
    session.join().map_err(|error| anyhow!("{error}"))
}
