//! What a function can use beside `core`, `alloc` and the crates on the allow-list.
#![no_std]

extern crate alloc;

/// The names that `std`'s prelude would have brought.
pub mod prelude {
    pub use alloc::borrow::ToOwned;
    pub use alloc::boxed::Box;
    pub use alloc::string::{String, ToString};
    pub use alloc::vec::Vec;
}

extern "Rust" {
    // Defined by the runtime that the library or program is linked with.
    fn micro_clock_ns(clock: i32) -> u64;
}

/// Unix time in nanoseconds.
pub fn unix_time_ns() -> u64 {
    // SAFETY: every runtime defines it, it reads a clock, and any number is a right argument.
    unsafe { micro_clock_ns(0) }
}

/// Nanoseconds of a clock that never goes back; only differences mean something.
pub fn monotonic_ns() -> u64 {
    // SAFETY: as above.
    unsafe { micro_clock_ns(1) }
}
