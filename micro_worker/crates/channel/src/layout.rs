//! Where things are in the channel's memory. All numbers are little endian and aligned.

/// "MICRORNG", and the layout's version after it.
pub const MAGIC: u64 = u64::from_le_bytes(*b"MICRORNG");
pub const VERSION: u32 = 1;

// The header. Words that different sides write lie in different cache lines.
pub const MAGIC_AT: usize = 0;
pub const VERSION_AT: usize = 8;
pub const SLOTS_AT: usize = 12;
pub const BUFFER_AT: usize = 16;
pub const FUNCTIONS_AT: usize = 20;
/// u32 `State`, written by the worker.
pub const STATE_AT: usize = 24;
/// u64: requests published by the dispatcher.
pub const REQUEST_HEAD_AT: usize = 64;
/// u64: responses published by the worker.
pub const RESPONSE_HEAD_AT: usize = 128;
/// u64: one more than the number of the request in hand, 0 for none. Outlives a worker that dies.
pub const IN_HAND_AT: usize = 136;
/// u32: 1 while the worker sleeps; the futex it waits on.
pub const WORKER_SLEEPS_AT: usize = 192;
/// u32: 1 while the dispatcher sleeps; the futex it waits on.
pub const DISPATCHER_SLEEPS_AT: usize = 256;
/// u32: functions in the table, written by the dispatcher.
pub const FUNCTION_COUNT_AT: usize = 320;
/// u64: ticks of the preemption clock that the worker has seen. Not beside what the dispatcher
/// polls: each tick would wait for the line.
pub const TICKS_AT: usize = 384;
/// u32 size, then text: why the worker ended, if it had time to say.
pub const LAST_WORDS_AT: usize = 1024;
pub const LAST_WORDS_BYTES: usize = 1020;
pub const HEADER_BYTES: usize = 4096;

// A request: kind u32, function u32, size u32, flags u32, budget in ns u64.
pub const REQUEST_BYTES: usize = 64;
/// Request flag: unload the library after the call.
pub const FORGET: u32 = 1;

// A response: number u64, ending u32, size u32, load ns u64, run ns u64.
pub const RESPONSE_BYTES: usize = 64;

// A function: name and path, each with a u32 size before it.
pub const NAME_BYTES: usize = 124;
pub const PATH_BYTES: usize = 380;
pub const FUNCTION_BYTES: usize = 4 + NAME_BYTES + 4 + PATH_BYTES;

pub const PAGE: usize = 4096;

/// The three numbers that a channel's layout follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Requests under way at most; a power of two.
    pub slots: u32,
    /// Bytes of each request's and each response's payload at most.
    pub buffer: u32,
    /// Functions in the table at most.
    pub functions: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Sizes { slots: 64, buffer: 256 << 10, functions: 8192 }
    }
}

impl Sizes {
    /// Whether the numbers are such as a channel can have.
    pub fn sound(&self) -> bool {
        self.slots.is_power_of_two()
            && self.slots <= 4096
            && (64..=16 << 20).contains(&self.buffer)
            && self.buffer % 64 == 0
            && (1..=65536).contains(&self.functions)
    }

    pub fn requests(&self) -> usize {
        HEADER_BYTES
    }

    pub fn responses(&self) -> usize {
        self.requests() + self.slots as usize * REQUEST_BYTES
    }

    pub fn table(&self) -> usize {
        paged(self.responses() + self.slots as usize * RESPONSE_BYTES)
    }

    pub fn inputs(&self) -> usize {
        paged(self.table() + self.functions as usize * FUNCTION_BYTES)
    }

    pub fn outputs(&self) -> usize {
        self.inputs() + self.slots as usize * self.buffer as usize
    }

    pub fn total(&self) -> usize {
        paged(self.outputs() + self.slots as usize * self.buffer as usize)
    }

    /// The slot of a request or response with that number.
    pub fn slot(&self, number: u64) -> usize {
        (number & (self.slots as u64 - 1)) as usize
    }
}

fn paged(at: usize) -> usize {
    (at + PAGE - 1) & !(PAGE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other() {
        for sizes in [Sizes::default(), Sizes { slots: 1, buffer: 64, functions: 1 }] {
            assert!(sizes.sound());
            let parts =
                [sizes.requests(), sizes.responses(), sizes.table(), sizes.inputs(), sizes.total()];
            assert!(parts.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(sizes.outputs() + sizes.buffer as usize <= sizes.total());
        }
    }

    #[test]
    fn absurd_sizes_are_refused() {
        let usual = Sizes::default();
        assert!(!Sizes { slots: 3, ..usual }.sound());
        assert!(!Sizes { slots: 0, ..usual }.sound());
        assert!(!Sizes { buffer: 0, ..usual }.sound());
        assert!(!Sizes { buffer: 100, ..usual }.sound());
        assert!(!Sizes { functions: 0, ..usual }.sound());
    }
}
