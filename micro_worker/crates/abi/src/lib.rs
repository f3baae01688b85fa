//! What the worker and a function's library agree on: one table, one call, the ways it can end.
//!
//! Both sides are built from this file, by the same compiler; `VERSION` guards against a library
//! that was built from another state of it.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

/// Raised with every change of this file.
pub const VERSION: u32 = 1;

/// The only symbol that a library exports: a `Library`.
pub const SYMBOL: &[u8] = b"MICRO_LIBRARY\0";

/// How a library can be stopped; it is built for one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Mechanism {
    /// Jump out of the call, drop its arena, restore the library's statics.
    Escape = 0,
    /// Unwind from the signal handler, as the paper does.
    Unwind = 1,
}

/// How a call ended. The numbers go over the channel; Python has the same table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Ending {
    /// The payload is the result.
    Returned = 0,
    /// The function gave an error; the payload is its text.
    Failed = 1,
    /// The payload is the panic's message.
    Panicked = 2,
    /// It was still running when its budget was used up.
    OverBudget = 3,
    /// It asked for more memory than its arena has.
    OutOfMemory = 4,
    /// Its stack was used up.
    StackOverflow = 5,
    /// SIGFPE.
    ArithmeticTrap = 6,
    /// SIGILL, SIGTRAP or SIGABRT.
    Aborted = 7,
    /// SIGSEGV or SIGBUS at any other place. The worker is replaced.
    MemoryFault = 8,
    /// It made a system call; the payload is the call's number in decimal.
    ForbiddenCall = 9,
    /// The result is larger than the channel's buffers.
    ResultTooLarge = 10,
    /// The library cannot be loaded; the payload says why.
    NotLoaded = 11,
    /// The worker ended during the call. Written by its successor.
    WorkerDied = 12,
    /// The payload is for the worker to know: a request that no dispatcher sends.
    BadRequest = 13,
}

/// Two words, as `clock_gettime` fills them.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Timespec {
    pub seconds: i64,
    pub nanoseconds: i64,
}

/// What the worker offers to a library: memory, a clock, and a way out.
#[repr(C)]
pub struct Host {
    /// Start of the memory for one call's heap, aligned to 4096 bytes.
    pub arena: *mut u8,
    pub arena_size: usize,
    /// The vDSO's `clock_gettime`: no system call, no lock.
    pub clock: unsafe extern "C" fn(i32, *mut Timespec) -> i32,
    /// Ends the call under way at once, with an `Ending`. Nothing is unwound.
    pub leave: unsafe extern "C" fn(u32) -> !,
}

/// One call's buffers. Input and output are the channel's own.
#[repr(C)]
pub struct Call {
    pub input: *const u8,
    pub input_size: usize,
    pub output: *mut u8,
    pub output_capacity: usize,
    /// Bytes that the library has put into `output`: result, error text or panic message.
    pub output_size: usize,
}

/// The table that a library exports as `MICRO_LIBRARY`.
#[repr(C)]
pub struct Library {
    pub version: u32,
    pub mechanism: u32,
    /// Called once after loading; the `Host` stays valid while the library is loaded.
    pub start: unsafe extern "C" fn(*const Host),
    /// Runs the function; returns an `Ending` as a number.
    pub call: unsafe extern "C" fn(*mut Call) -> u32,
    /// Called from the signal handler when the budget is used up; unwinds if a call is under way.
    /// Null with `Escape`. Of Rust's ABI, because C's may not be unwound through.
    pub unwind: Option<fn()>,
    /// Bytes of heap that the library's calls have left behind; null with `Escape`.
    pub live_bytes: Option<extern "C" fn() -> u64>,
}

// SAFETY: a `Library` holds numbers and function pointers only, and is never written.
unsafe impl Sync for Library {}
