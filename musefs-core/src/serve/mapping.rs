//! Pages of a backing file as memory, for replies that the kernel copies out of its own cache: nobody else ever reads a byte
//! of them. A page that cannot be had then makes the kernel's copy fail, and the reader gets EIO; were it read here, this
//! process would end.
//!
//! Each open file has one window of pages at a time, and only while it is read from front to back: elsewhere mapping costs
//! more than the copy that it saves, and more windows would count as memory of this process.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use parking_lot::Mutex;

use raw::Pages;

/// The kernel tells in pages of this size at least.
const PAGE_BYTES: u64 = 4096;
/// More pages than these are not asked about: the kernel asks for no more in one read.
const PAGES_MAX: usize = 512;

/// Bits of a process's capabilities, by number.
const CAP_FOWNER: u32 = 3;
/// Stands for users whom this user namespace does not know.
const OVERFLOW_UID: u32 = 65_534;

/// Of whose files the kernel tells the truth about what is in memory. Of others it says that all is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trust {
    uid: u32,
    /// Has the rights of every owner.
    is_any_owner: bool,
}

impl Trust {
    /// That of this process.
    pub(super) fn of_process() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self::of(nix::unistd::geteuid().as_raw(), &status)
    }

    fn of(uid: u32, status: &str) -> Self {
        let capabilities = status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))
            .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
            .unwrap_or(0);
        Self {
            uid,
            is_any_owner: capabilities & (1 << CAP_FOWNER) != 0,
        }
    }

    /// Whether the file with this metadata is one of them.
    pub(super) fn covers(self, metadata: &Metadata) -> bool {
        self.covers_files_of(metadata.uid())
    }

    fn covers_files_of(self, owner: u32) -> bool {
        owner != OVERFLOW_UID && (owner == self.uid || self.is_any_owner)
    }
}

/// Bytes of a window.
const WINDOW_BYTES: u64 = 16 << 20;
/// Reads that lie no further from the end of the last one than this follow it: several are under way at once.
const NEAR_BYTES: u64 = 4 << 20;

/// The window of one open file.
#[derive(Debug, Default)]
pub(super) struct Window(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Where the pages start in the file, and they.
    pages: Option<(u64, Arc<Pages>)>,
    /// Where a sequential reader comes next.
    next_offset: u64,
}

/// Bytes of a file for one system call, which is to copy them.
#[derive(Debug)]
pub struct Mapped {
    pages: Arc<Pages>,
    /// Where they start in the pages.
    skip: usize,
    len: usize,
}

impl Window {
    /// `len` bytes from `offset` of `file`, which has `file_len`, if a reader comes along and all of them are in memory now.
    pub(super) fn resident(
        &self,
        file: &File,
        file_len: u64,
        offset: u64,
        len: usize,
    ) -> Option<Mapped> {
        let end = offset + len as u64;
        let mapped = {
            let mut state = self.0.lock();
            let is_near = offset.abs_diff(state.next_offset) <= NEAR_BYTES;
            state.next_offset = end;
            let covering = state
                .pages
                .as_ref()
                .filter(|(start, pages)| *start <= offset && end <= *start + pages.len() as u64);
            let (start, pages) = match covering {
                Some((start, pages)) => (*start, Arc::clone(pages)),
                None if is_near => {
                    // A little before it, for requests that come after others which follow them.
                    let start = offset.saturating_sub(NEAR_BYTES) / PAGE_BYTES * PAGE_BYTES;
                    let bytes = file_len.min(start + WINDOW_BYTES).checked_sub(start)?;
                    let pages = Pages::map(file, start, usize::try_from(bytes).ok()?)?;
                    let pages = Arc::new(pages);
                    state.pages = Some((start, Arc::clone(&pages)));
                    (start, pages)
                }
                None => {
                    state.pages = None;
                    return None;
                }
            };
            let skip = usize::try_from(offset - start).ok()?;
            Mapped { pages, skip, len }
        };
        let is_within = mapped.skip + len <= mapped.pages.len();
        (is_within && mapped.pages.are_resident(mapped.skip, len)).then_some(mapped)
    }
}

impl Mapped {
    /// The bytes, for a system call: they may change and go away at any time, and must not be looked at.
    pub fn for_the_kernel(&self) -> &[u8] {
        &self.pages.for_the_kernel()[self.skip..self.skip + self.len]
    }
}

#[expect(
    unsafe_code,
    reason = "memory that only the kernel reads is made, asked about and given back"
)]
mod raw {
    use std::ffi::c_void;
    use std::fs::File;
    use std::num::NonZeroUsize;
    use std::os::fd::AsFd;
    use std::ptr::NonNull;

    use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

    use super::{PAGE_BYTES, PAGES_MAX};

    /// Whole pages of a file, but for the last.
    #[derive(Debug)]
    pub(super) struct Pages {
        start: NonNull<c_void>,
        len: NonZeroUsize,
    }

    // SAFETY: nothing is written or read through it, and it is given back once, on whatever thread.
    unsafe impl Send for Pages {}
    // SAFETY: as above.
    unsafe impl Sync for Pages {}

    impl Pages {
        /// Maps `len` bytes of `file` from `offset`, where a page begins.
        pub(super) fn map(file: &File, offset: u64, len: usize) -> Option<Self> {
            let len = NonZeroUsize::new(len)?;
            let offset = i64::try_from(offset).ok()?;
            let (read, shared) = (ProtFlags::PROT_READ, MapFlags::MAP_SHARED);
            // SAFETY: a new place in memory is asked for, so nothing else is there.
            let start = unsafe { mmap(None, len, read, shared, file.as_fd(), offset) }.ok()?;
            Some(Self { start, len })
        }

        /// How many bytes they are.
        pub(super) fn len(&self) -> usize {
            self.len.get()
        }

        /// Whether the pages that `len` bytes from `skip` lie on are all in memory now.
        pub(super) fn are_resident(&self, skip: usize, len: usize) -> bool {
            let mut told = [0_u8; PAGES_MAX];
            let page_bytes = usize::try_from(PAGE_BYTES).expect("a page fits memory");
            let first = skip / page_bytes * page_bytes;
            let bytes = skip + len - first;
            assert!(first + bytes <= self.len.get(), "within the mapping");
            let Some(told) = told.get_mut(..bytes.div_ceil(page_bytes)) else {
                return false;
            };
            // SAFETY: it is part of what was mapped, and there is room for a byte about each page of at least that size.
            let asked = unsafe {
                libc::mincore(
                    self.start.as_ptr().byte_add(first),
                    bytes,
                    told.as_mut_ptr(),
                )
            };
            asked == 0 && told.iter().all(|page| page & 1 == 1)
        }

        pub(super) fn for_the_kernel(&self) -> &[u8] {
            // SAFETY: it is what was mapped, and it stays so as long as the slice is there. The slice's address and length are
            // all that is used, by a system call that checks each page.
            unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.len.get()) }
        }
    }

    impl Drop for Pages {
        fn drop(&mut self) {
            // SAFETY: it is what was mapped, and no slice outlives it.
            let unmapped = unsafe { munmap(self.start, self.len.get()) };
            debug_assert_eq!(unmapped, Ok(()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn the_truth_is_told_to_owners_and_to_who_has_their_rights() {
        let status = |bits: &str| format!("Name:\tx\nCapEff:\t{bits}\nSeccomp:\t0\n");
        let user = Trust::of(1000, &status("0000000000000000"));
        assert!(user.covers_files_of(1000));
        assert!(!user.covers_files_of(0) && !user.covers_files_of(OVERFLOW_UID));
        let root = Trust::of(0, &status("000001ffffffffff"));
        assert!(root.covers_files_of(0) && root.covers_files_of(1000));
        // In a container, files of users from outside.
        assert!(!root.covers_files_of(OVERFLOW_UID));
        let bound = Trust::of(0, &status("0000000000000002"));
        assert!(bound.covers_files_of(0) && !bound.covers_files_of(1000));
        assert!(!Trust::of(0, "").covers_files_of(1));
    }

    #[test]
    fn who_reads_along_gets_that_part_of_the_file_and_who_jumps_does_not() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..40_u32 << 20).map(|index| (index % 251) as u8).collect();
        let len = bytes.len();
        file.write_all(&bytes).unwrap();
        let window = Window::default();
        let part = |offset: usize, count: usize| {
            let mapped = window.resident(&file, len as u64, offset as u64, count)?;
            // Nothing else has this file, so here it can be looked at.
            assert_eq!(mapped.for_the_kernel(), &bytes[offset..offset + count]);
            Some(())
        };
        for offset in (0..len).step_by(1_000_000) {
            part(offset, 1_000_000.min(len - offset)).expect("just written");
        }
        assert_eq!(part(5, 4096), None, "far away");
        assert_eq!(part(10, 4096), Some(()), "and on from there");
        assert_eq!(part(4_000_000, 1), Some(()), "a little out of order");
        assert_eq!(part(30 << 20, 4096), None);
        assert_eq!(part(len - 10, 11), None, "beyond the end");
        let mut far = window.resident(&file, 1 << 40, (len + 4096) as u64, 4096);
        far = far.or_else(|| window.resident(&file, 1 << 40, (len + 4096) as u64, 4096));
        assert!(far.is_none(), "no such pages");
    }
}
