//! The call's arena as Rust's global allocator.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;

use micro_abi::{Ending, Host};
use micro_arena::Arena;

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

/// Make the heap empty.
///
/// # Safety
/// Nothing may still use what was allocated before.
pub unsafe fn reset(host: &Host) {
    // SAFETY: the host's arena is the library's alone while a call is under way.
    let _ = unsafe { Arena::reset(host.arena, host.arena_size) };
}

/// # Safety
/// Only while a call is under way, and one at a time.
unsafe fn arena() -> &'static mut Arena {
    // SAFETY: `reset` has put an arena there; the library has one thread.
    unsafe { &mut *crate::host().arena.cast::<Arena>() }
}

// SAFETY: blocks come from the arena, which hands out each only once and aligned.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: functions allocate during calls only.
        unsafe { arena() }.allocate(layout).map_or(null_mut(), |block| block.as_ptr())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the arena's.
        unsafe { arena().release(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if Arena::fits(layout, size) {
            return block;
        }
        // SAFETY: `size` is not 0 and does not overflow, by GlobalAlloc's contract; the old block
        // holds at least the smaller of the sizes.
        unsafe {
            let wanted = Layout::from_size_align_unchecked(size, layout.align());
            let moved = self.alloc(wanted);
            if !moved.is_null() {
                core::ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

#[alloc_error_handler]
fn out_of_memory(_: Layout) -> ! {
    crate::leave(Ending::OutOfMemory)
}
