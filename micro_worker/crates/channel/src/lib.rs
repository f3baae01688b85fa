//! The shared memory between a dispatcher and one worker: two rings, their buffers, the table of
//! functions. `layout` says where things are; orchestrator/micro/channel.py has the same numbers.
//!
//! Each ring has one writer and one reader. A side that sleeps says so in a word, and only then is
//! it woken by a futex call.

#![deny(unsafe_op_in_unsafe_fn)]

mod clock;
mod dispatcher;
mod layout;
mod memory;
mod wait;
mod worker;

pub use clock::{clock_ns, now_ns};
pub use dispatcher::{Completion, Dispatcher, FullError};
pub use layout::{Sizes, FORGET, FUNCTION_BYTES, NAME_BYTES, PATH_BYTES};
pub use memory::Memory;
pub use micro_abi::Ending;
pub use worker::{Registered, Request, Timing, WorkerSide};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Run a function, loading its library if it is not there.
    Call = 0,
    /// Load a function's library ahead.
    Load = 1,
    /// Unload it.
    Unload = 2,
}

impl Kind {
    /// The kind of that number, if there is one.
    pub fn from_number(number: u32) -> Option<Kind> {
        [Kind::Call, Kind::Load, Kind::Unload].into_iter().find(|kind| *kind as u32 == number)
    }
}

/// Where a worker is in its life, as its header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    Starting = 0,
    Serving = 1,
    Ended = 2,
}
