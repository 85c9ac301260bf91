//! Counts what each thread has of the heap, so that a test can say how much one thing took.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with a count.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    /// What the thread has now, and the most it had since a measurement began, in bytes.
    static HEAP: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Measures the heap of one thread from here on.
#[derive(Debug)]
pub(crate) struct Measure {
    had: usize,
}

impl Measure {
    pub(crate) fn begin() -> Self {
        let (had, _) = HEAP.get();
        HEAP.set((had, had));
        Self { had }
    }

    /// Returns the most that the thread had beyond what it had at the beginning, in bytes.
    pub(crate) fn peak(&self) -> usize {
        HEAP.get().1.saturating_sub(self.had)
    }
}

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: it hands everything to the system's allocator as it came, and only counts beside it.
// What grows is counted at its old and its new place at once: that is the most it may take.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (has, peak) = HEAP.get();
        let has = has.saturating_add(layout.size());
        HEAP.set((has, peak.max(has)));
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        let (has, peak) = HEAP.get();
        HEAP.set((has.saturating_sub(layout.size()), peak));
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.dealloc(place, layout) }
    }
}
