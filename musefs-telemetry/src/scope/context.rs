//! Whom work is done for, on whatever thread.

use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use crate::event::RequestId;

/// The request that work is done for. A job takes it along by value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ctx {
    /// The request's id; 0 is work in the background.
    pub request_id: u64,
    /// Which instance the request came to.
    pub instance: u32,
    /// The request that triggered background work; 0 when none did.
    pub cause: u64,
    /// The request whose work answers this one, too; 0 when it does its own.
    pub leader: u64,
}

thread_local! {
    static CURRENT: Cell<Ctx> = const { Cell::new(Ctx::BACKGROUND) };
    /// The ids that are left of this thread's block: the next one, and how many.
    static IDS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Ids that a thread takes at once.
const BLOCK: u64 = 1_024;
/// Ids of our own have the highest bit, so that they differ from those of the kernel.
static NEXT_BLOCK: AtomicU64 = AtomicU64::new(1 << 63);

impl Ctx {
    /// Work that nobody asked for.
    pub const BACKGROUND: Self = Self {
        request_id: 0,
        instance: 0,
        cause: 0,
        leader: 0,
    };

    /// The request `request_id` to `instance`.
    pub fn request(instance: u32, request_id: u64) -> Self {
        Self {
            request_id,
            instance,
            ..Self::BACKGROUND
        }
    }

    /// A request without an id of its own gets one that no other has.
    pub fn next(instance: u32) -> Self {
        let (next, left) = match IDS.try_with(Cell::get) {
            Ok((next, left @ 1..)) => (next, left),
            Ok(_) => (NEXT_BLOCK.fetch_add(BLOCK, Relaxed), BLOCK),
            Err(_) => (NEXT_BLOCK.fetch_add(1, Relaxed), 1),
        };
        // A thread that is being torn down took a single id and has nothing to remember.
        let _ = IDS.try_with(|ids| ids.set((next + 1, left - 1)));
        Self::request(instance, next)
    }

    /// The request, as texts name it.
    pub fn id(self) -> RequestId {
        RequestId {
            instance: self.instance,
            number: self.request_id,
        }
    }

    /// The request that triggered this work, if one did, as texts name it.
    pub fn cause_id(self) -> Option<RequestId> {
        (self.cause != 0).then_some(RequestId {
            instance: self.instance,
            number: self.cause,
        })
    }

    /// Background work that this request triggers.
    pub fn triggers(self) -> Self {
        Self {
            request_id: 0,
            cause: self.request_id,
            leader: 0,
            ..self
        }
    }

    /// This request, answered by the work of `leader`.
    pub fn follows(self, leader: Self) -> Self {
        Self {
            leader: leader.request_id,
            ..self
        }
    }

    /// Whom this thread works for.
    pub fn current() -> Self {
        CURRENT.try_with(Cell::get).unwrap_or_default()
    }

    /// This thread works for this request until it enters or stays with another.
    #[inline]
    pub fn stay(self) {
        // A thread that is being torn down works for nobody any more.
        let _ = CURRENT.try_with(|current| current.set(self));
    }

    /// This thread works for this request until the guard is dropped; then for whom it did before.
    pub fn enter(self) -> Entered {
        Entered {
            before: CURRENT
                .try_with(|current| current.replace(self))
                .unwrap_or_default(),
            stays_here: PhantomData,
        }
    }
}

/// A thread at work for a request.
#[derive(Debug)]
#[must_use = "the request is left when this is dropped"]
pub struct Entered {
    before: Ctx,
    stays_here: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // A thread that is being torn down works for nobody any more.
        let _ = CURRENT.try_with(|current| current.set(self.before));
    }
}

pin_project_lite::pin_project! {
    /// A future that is polled for a request, on whatever thread.
    #[derive(Debug)]
    pub struct WithRequestId<F> {
        #[pin]
        future: F,
        ctx: Ctx,
    }
}

impl<F> WithRequestId<F> {
    /// `future`, for `ctx`.
    pub fn new(ctx: Ctx, future: F) -> Self {
        Self { future, ctx }
    }
}

impl<F: Future> Future for WithRequestId<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.ctx.enter();
        this.future.poll(context)
    }
}
