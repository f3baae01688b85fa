//! The heap of one call: blocks by powers of two, cut from one piece of memory, all dropped at once.
//!
//! The whole state lies at the start of that memory, so that a call can be left in the middle of an
//! allocation: the next `reset` makes an empty heap of whatever is there.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

use core::alloc::Layout;
use core::mem::{align_of, size_of};
use core::ptr::{null_mut, NonNull};

const SMALLEST_SHIFT: u32 = 4;
const CLASSES: usize = 44;

/// A freed block holds the address of the next one of its class.
struct Free {
    next: *mut Free,
}

/// The heap's state, at the start of its memory.
#[repr(C)]
pub struct Arena {
    top: usize,
    end: usize,
    free: [*mut Free; CLASSES],
}

impl Arena {
    /// Make an empty heap of `size` bytes at `memory` and return it; None if it is too small.
    ///
    /// # Safety
    /// The memory must be writable, aligned to 16 bytes, used by nothing else, and stay so for `'a`.
    pub unsafe fn reset<'a>(memory: *mut u8, size: usize) -> Option<&'a mut Arena> {
        if size < size_of::<Arena>() || memory as usize % align_of::<Arena>() != 0 {
            return None;
        }
        let start = memory as usize;
        let arena = memory.cast::<Arena>();
        // SAFETY: the caller gives this memory away, and it is large enough and aligned.
        unsafe {
            arena.write(Arena {
                top: start + size_of::<Arena>(),
                end: start + size,
                free: [null_mut(); CLASSES],
            });
            Some(&mut *arena)
        }
    }

    /// Bytes from the start of `memory` that have been in use since the last `reset` of a heap
    /// there; 0 if there never was one.
    ///
    /// # Safety
    /// The memory must be readable, aligned to 16 bytes, and either all zero or a heap's.
    pub unsafe fn reach(memory: *const u8) -> usize {
        // SAFETY: the caller's promise; a heap starts with its `Arena`.
        unsafe { (*memory.cast::<Arena>()).top }.saturating_sub(memory as usize)
    }

    /// Return a block for `layout`; None when the memory does not suffice.
    pub fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let class = class_of(layout)?;
        let block = self.free[class];
        if !block.is_null() {
            // SAFETY: what is in the list was handed out from this memory and given back.
            self.free[class] = unsafe { (*block).next };
            return NonNull::new(block.cast());
        }
        let size = size_of_class(class);
        // A block's alignment is its size, up to a page: more is asked for by nobody and refused.
        let alignment = size.min(4096);
        let start = self.top.checked_add(alignment - 1)? & !(alignment - 1);
        let end = start.checked_add(size)?;
        if end > self.end {
            return None;
        }
        self.top = end;
        NonNull::new(start as *mut u8)
    }

    /// Take a block back.
    ///
    /// # Safety
    /// The block must come from `allocate` of this heap, with the same layout, and be used no more.
    pub unsafe fn release(&mut self, block: *mut u8, layout: Layout) {
        if let Some(class) = class_of(layout) {
            let block = block.cast::<Free>();
            // SAFETY: a block has at least 16 bytes, is aligned, and is the heap's again.
            unsafe { block.write(Free { next: self.free[class] }) };
            self.free[class] = block;
        }
    }

    /// Whether a block of `layout` has room for `size` bytes where it is.
    pub fn fits(layout: Layout, size: usize) -> bool {
        match (class_of(layout), Layout::from_size_align(size, layout.align())) {
            (Some(class), Ok(wanted)) => class_of(wanted) == Some(class),
            _ => false,
        }
    }
}

fn size_of_class(class: usize) -> usize {
    1 << (class as u32 + SMALLEST_SHIFT)
}

/// The class whose blocks hold `layout`; None for alignments above a page and absurd sizes.
fn class_of(layout: Layout) -> Option<usize> {
    if layout.align() > 4096 {
        return None;
    }
    let size = layout.size().max(layout.align()).max(1 << SMALLEST_SHIFT);
    let shift = size.checked_next_power_of_two()?.trailing_zeros();
    let class = (shift - SMALLEST_SHIFT) as usize;
    if class < CLASSES {
        Some(class)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::collections::BTreeMap;
    use std::vec;
    use std::vec::Vec;

    #[repr(align(4096))]
    #[derive(Clone)]
    struct Page([u8; 4096]);

    fn memory(pages: usize) -> Vec<Page> {
        vec![Page([0xaa; 4096]); pages]
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    fn heap(memory: &mut [Page]) -> &mut Arena {
        // SAFETY: the test holds the pages for as long as the heap.
        unsafe { Arena::reset(memory.as_mut_ptr().cast(), memory.len() * 4096).unwrap() }
    }

    #[test]
    fn blocks_are_aligned_apart_and_inside() {
        let mut pages = memory(64);
        let bounds = pages.as_ptr_range();
        let (low, high) = (bounds.start as usize, bounds.end as usize);
        let heap = heap(&mut pages);
        let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
        for step in 0..300_usize {
            let wanted = layout(1 + step * 7 % 700, 1 << (step % 8));
            let start = heap.allocate(wanted).unwrap().as_ptr() as usize;
            assert_eq!(start % wanted.align(), 0);
            assert!(start >= low && start + wanted.size() <= high);
            if let Some((before, size)) = taken.range(..=start).next_back() {
                assert!(before + size <= start);
            }
            if let Some((after, _)) = taken.range(start..).next() {
                assert!(start + wanted.size() <= *after);
            }
            taken.insert(start, wanted.size());
        }
    }

    #[test]
    fn released_blocks_come_again() {
        let mut pages = memory(2);
        let heap = heap(&mut pages);
        let wanted = layout(100, 8);
        let first = heap.allocate(wanted).unwrap();
        let state: *const Arena = heap;
        // SAFETY: a heap is there.
        let reach = unsafe { Arena::reach(state.cast()) };
        for _ in 0..1000 {
            // SAFETY: the block was just handed out for this layout.
            unsafe { heap.release(first.as_ptr(), wanted) };
            assert_eq!(heap.allocate(wanted), Some(first));
        }
        // SAFETY: as above.
        assert_eq!(unsafe { Arena::reach(state.cast()) }, reach);
    }

    #[test]
    fn too_much_is_refused_and_the_rest_still_works() {
        let mut pages = memory(4);
        let heap = heap(&mut pages);
        assert!(heap.allocate(layout(5 * 4096, 1)).is_none());
        assert!(heap.allocate(layout(1 << 62, 1)).is_none());
        assert!(heap.allocate(layout(16, 8192)).is_none());
        assert!(heap.allocate(layout(16, 16)).is_some());
    }

    #[test]
    fn reset_empties_whatever_is_there() {
        let mut pages = memory(4);
        let first = {
            let heap = heap(&mut pages);
            let first = heap.allocate(layout(64, 8)).unwrap();
            while heap.allocate(layout(64, 8)).is_some() {}
            first
        };
        pages[0].0[..512].fill(0xff);
        assert_eq!(heap(&mut pages).allocate(layout(64, 8)), Some(first));
    }

    #[test]
    fn memory_too_small_is_refused() {
        let mut pages = memory(1);
        // SAFETY: the page is ours; nothing is made of it.
        assert!(unsafe { Arena::reset(pages.as_mut_ptr().cast(), 64) }.is_none());
    }

    #[test]
    fn room_in_place_follows_the_class() {
        assert!(Arena::fits(layout(100, 8), 128));
        assert!(!Arena::fits(layout(100, 8), 129));
        assert!(!Arena::fits(layout(100, 8), 64));
    }
}
