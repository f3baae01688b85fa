//! The worker's side of a channel.

use std::sync::atomic::{AtomicU64, Ordering};

use micro_abi::{Call, Ending};

use crate::layout::*;
use crate::{wait, Kind, Memory, State};

/// A request as it was read; everything in it is checked.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub number: u64,
    pub kind: Kind,
    pub function: u32,
    pub forget: bool,
    pub budget_ns: u64,
    pub input_size: usize,
}

/// A function as the dispatcher registered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    pub name: String,
    pub path: String,
}

/// Nanoseconds that the parts of a request took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    pub load_ns: u64,
    pub run_ns: u64,
}

/// Takes requests, in their order, and answers each before the next.
pub struct WorkerSide {
    memory: Memory,
    next: u64,
}

impl WorkerSide {
    /// Go on where the last worker of this channel was. A request that it had in hand when it died
    /// is answered with `WorkerDied`: nobody knows what it had done.
    pub fn new(memory: Memory) -> WorkerSide {
        let next = memory.u64_at(RESPONSE_HEAD_AT).load(Ordering::Relaxed);
        let mut side = WorkerSide { memory, next };
        if side.memory.u64_at(IN_HAND_AT).load(Ordering::Relaxed) == next + 1 {
            side.answer(Ending::WorkerDied, 0, Timing::default());
        }
        side.memory.u64_at(IN_HAND_AT).store(0, Ordering::Relaxed);
        side
    }

    /// Tell the dispatcher where in its life the worker is.
    pub fn set_state(&self, state: State) {
        self.memory.u32_at(STATE_AT).store(state as u32, Ordering::Release);
    }

    /// The counter of ticks; the signal handler counts in it.
    pub fn ticks(&self) -> *const AtomicU64 {
        self.memory.u64_at(TICKS_AT)
    }

    pub fn sizes(&self) -> Sizes {
        self.memory.sizes()
    }

    /// Whether there is a request.
    #[inline]
    pub fn waiting(&self) -> bool {
        self.memory.u64_at(REQUEST_HEAD_AT).load(Ordering::Acquire) > self.next
    }

    /// Sleep until there is a request; may return without one.
    pub fn sleep(&self) {
        wait::sleep(self.memory.u32_at(WORKER_SLEEPS_AT), || self.waiting(), None);
    }

    /// Take the request at hand; only when `waiting`. The error is a request that makes no sense,
    /// to be answered with `BadRequest`.
    #[inline]
    pub fn take(&mut self) -> Result<Request, &'static str> {
        let sizes = self.memory.sizes();
        let at = sizes.requests() + sizes.slot(self.next) * REQUEST_BYTES;
        let word = |offset| self.memory.u32_at(at + offset).load(Ordering::Relaxed);
        let budget_ns = self.memory.u64_at(at + 16).load(Ordering::Relaxed);
        let (kind, function, size, flags) = (word(0), word(4), word(8), word(12));
        self.memory.u64_at(IN_HAND_AT).store(self.next + 1, Ordering::Release);
        let kind = Kind::from_number(kind).ok_or("there is no such kind of request")?;
        if size > sizes.buffer {
            return Err("the request is larger than its buffer");
        }
        if flags & !FORGET != 0 {
            return Err("the request has flags that do not exist");
        }
        Ok(Request {
            number: self.next,
            kind,
            function,
            forget: flags & FORGET != 0,
            budget_ns,
            input_size: size as usize,
        })
    }

    /// The buffers of the request in hand. The dispatcher does not touch them until the answer.
    #[inline]
    pub fn buffers(&self, input_size: usize) -> Call {
        let sizes = self.memory.sizes();
        let (slot, buffer) = (sizes.slot(self.next), sizes.buffer as usize);
        Call {
            input: self.memory.place(sizes.inputs() + slot * buffer, buffer, 1),
            input_size,
            output: self.memory.place(sizes.outputs() + slot * buffer, buffer, 1),
            output_capacity: buffer,
            output_size: 0,
        }
    }

    /// Answer the request in hand with what is in its output buffer, and wake the dispatcher.
    #[inline]
    pub fn answer(&mut self, ending: Ending, size: usize, timing: Timing) {
        let sizes = self.memory.sizes();
        let at = sizes.responses() + sizes.slot(self.next) * RESPONSE_BYTES;
        let memory = &self.memory;
        memory.u64_at(at).store(self.next, Ordering::Relaxed);
        memory.u32_at(at + 8).store(ending as u32, Ordering::Relaxed);
        memory.u32_at(at + 12).store(size as u32, Ordering::Relaxed);
        memory.u64_at(at + 16).store(timing.load_ns, Ordering::Relaxed);
        memory.u64_at(at + 24).store(timing.run_ns, Ordering::Relaxed);
        self.next += 1;
        memory.u64_at(RESPONSE_HEAD_AT).store(self.next, Ordering::Release);
        wait::wake(memory.u32_at(DISPATCHER_SLEEPS_AT));
    }

    /// A copy of the input of the request in hand.
    pub fn input(&self, request: &Request) -> Vec<u8> {
        let sizes = self.memory.sizes();
        let at = sizes.inputs() + sizes.slot(self.next) * sizes.buffer as usize;
        self.memory.read(at, request.input_size)
    }

    /// Answer the request in hand with these bytes, as far as they fit.
    pub fn answer_bytes(&mut self, ending: Ending, bytes: &[u8], timing: Timing) {
        let sizes = self.memory.sizes();
        let size = bytes.len().min(sizes.buffer as usize);
        let at = sizes.outputs() + sizes.slot(self.next) * sizes.buffer as usize;
        self.memory.write(at, &bytes[..size]);
        self.answer(ending, size, timing);
    }

    /// Look a function up; None for a number that is not registered.
    pub fn function(&self, number: u32) -> Option<Registered> {
        let sizes = self.memory.sizes();
        let count = self.memory.u32_at(FUNCTION_COUNT_AT).load(Ordering::Acquire);
        if number >= count.min(sizes.functions) {
            return None;
        }
        let at = sizes.table() + number as usize * FUNCTION_BYTES;
        Some(Registered {
            name: self.text(at, NAME_BYTES)?,
            path: self.text(at + 4 + NAME_BYTES, PATH_BYTES)?,
        })
    }

    fn text(&self, at: usize, capacity: usize) -> Option<String> {
        let size = self.memory.u32_at(at).load(Ordering::Relaxed) as usize;
        if size > capacity {
            return None;
        }
        String::from_utf8(self.memory.read(at + 4, size)).ok()
    }

    /// Leave a line about why the worker ends, where the dispatcher finds it.
    pub fn last_words(&self, text: &str) {
        let size = text.len().min(LAST_WORDS_BYTES);
        self.memory.write(LAST_WORDS_AT + 4, &text.as_bytes()[..size]);
        self.memory.u32_at(LAST_WORDS_AT).store(size as u32, Ordering::Release);
    }
}
