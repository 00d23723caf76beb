//! What the core's errors are to the kernel: one exhaustive match.

use fuser::Errno;
use musefs_core::serve::Error;

/// The errno that a request is answered with. Never EAGAIN: programs that wait for a FUSE file to become ready would wait
/// for ever.
pub fn errno(error: &Error) -> Errno {
    match error {
        Error::NotFound => Errno::ENOENT,
        Error::Stale => Errno::ESTALE,
        Error::NotADirectory => Errno::ENOTDIR,
        Error::IsADirectory => Errno::EISDIR,
        Error::BadHandle => Errno::EBADF,
        Error::OutOfDescriptors { .. } => Errno::ENFILE,
        Error::Changed { .. } | Error::Backing { .. } | Error::BlobGone(_) | Error::Store(_) => {
            Errno::EIO
        }
    }
}
