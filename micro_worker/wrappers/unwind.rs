//! The root of a library that is stopped by unwinding, the paper's way.
//! Built by orchestrator/micro/build.py. For the reproduction only: see README.md.

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{catch_unwind, resume_unwind, set_hook, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use micro_abi::{Call, Ending, Host, Library, Mechanism, VERSION};

/// libc's heap, with a count of what is handed out and not given back.
struct Counting;

static LIVE: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static HEAP: Counting = Counting;

// SAFETY: every request is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as u64, Ordering::Relaxed);
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        System.dealloc(block, layout)
    }
}

/// Whether there is a call to unwind out of.
static UNDER_WAY: AtomicBool = AtomicBool::new(false);

/// What the signal handler throws.
struct OverBudget;

#[no_mangle]
fn micro_clock_ns(clock: i32) -> u64 {
    extern "C" {
        fn clock_gettime(clock: i32, time: *mut micro_abi::Timespec) -> i32;
    }
    let mut time = micro_abi::Timespec::default();
    // SAFETY: libc's function, with a place to write to.
    unsafe { clock_gettime(clock, &mut time) };
    time.seconds as u64 * 1_000_000_000 + time.nanoseconds as u64
}

unsafe extern "C" fn start(_: *const Host) {
    // The usual hook would write to a descriptor that is not there.
    set_hook(Box::new(|_| {}));
}

unsafe extern "C" fn call(call: *mut Call) -> u32 {
    let call = &mut *call;
    let input = std::slice::from_raw_parts(call.input, call.input_size);
    let result = catch_unwind(AssertUnwindSafe(|| {
        UNDER_WAY.store(true, Ordering::SeqCst);
        let result = function::main(input);
        UNDER_WAY.store(false, Ordering::SeqCst);
        result
    }));
    UNDER_WAY.store(false, Ordering::SeqCst);
    let (ending, output) = match result {
        Ok(Ok(output)) => (Ending::Returned, output),
        Ok(Err(reason)) => (Ending::Failed, reason.into_bytes()),
        Err(thrown) if thrown.is::<OverBudget>() => return Ending::OverBudget as u32,
        Err(thrown) => {
            let text = match thrown.downcast::<String>() {
                Ok(text) => *text,
                Err(other) => {
                    other.downcast::<&str>().map_or(String::new(), |text| text.to_string())
                }
            };
            (Ending::Panicked, text.into_bytes())
        }
    };
    if output.len() > call.output_capacity {
        return Ending::ResultTooLarge as u32;
    }
    std::ptr::copy_nonoverlapping(output.as_ptr(), call.output, output.len());
    call.output_size = output.len();
    ending as u32
}

/// Called from the signal handler: unwinds from wherever the function is, as in the paper. This is
/// what corrupts heaps: nothing says that the function may be left there.
fn unwind() {
    if UNDER_WAY.swap(false, Ordering::SeqCst) {
        resume_unwind(Box::new(OverBudget));
    }
}

extern "C" fn live_bytes() -> u64 {
    LIVE.load(Ordering::Relaxed)
}

#[no_mangle]
pub static MICRO_LIBRARY: Library = Library {
    version: VERSION,
    mechanism: Mechanism::Unwind as u32,
    start,
    call,
    unwind: Some(unwind),
    live_bytes: Some(live_bytes),
};
