//! The dispatcher's side of a channel, for native dispatchers: the load generator and the tests.

use std::sync::atomic::Ordering;
use std::time::Duration;

use micro_abi::Ending;

use crate::layout::*;
use crate::{wait, Kind, Memory, State};

/// All slots hold requests whose answers were not taken yet.
#[derive(Debug)]
pub struct FullError;

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    pub number: u64,
    /// An `Ending` as a number.
    pub ending: u32,
    pub size: usize,
    pub load_ns: u64,
    pub run_ns: u64,
}

impl Completion {
    pub fn is(&self, ending: Ending) -> bool {
        self.ending == ending as u32
    }
}

/// Publishes requests and takes answers.
pub struct Dispatcher {
    memory: Memory,
    sent: u64,
    taken: u64,
}

impl Dispatcher {
    pub fn new(memory: Memory) -> Dispatcher {
        Dispatcher { memory, sent: 0, taken: 0 }
    }

    /// Add a function to the worker's table; returns its number. Panics if the table is full or the
    /// texts are too long: the callers here choose both.
    pub fn register(&mut self, name: &str, path: &str) -> u32 {
        let count = self.memory.u32_at(FUNCTION_COUNT_AT);
        let number = count.load(Ordering::Relaxed);
        assert!(number < self.memory.sizes().functions, "the table of functions is full");
        assert!(name.len() <= NAME_BYTES && path.len() <= PATH_BYTES, "{} is too long", path);
        let at = self.memory.sizes().table() + number as usize * FUNCTION_BYTES;
        for (at, text) in [(at, name), (at + 4 + NAME_BYTES, path)] {
            self.memory.u32_at(at).store(text.len() as u32, Ordering::Relaxed);
            self.memory.write(at + 4, text.as_bytes());
        }
        count.store(number + 1, Ordering::Release);
        number
    }

    /// Publish a request and wake the worker if it sleeps. Returns the request's number.
    #[inline]
    pub fn send(
        &mut self,
        kind: Kind,
        function: u32,
        input: &[u8],
        flags: u32,
        budget_ns: u64,
    ) -> Result<u64, FullError> {
        let sizes = self.memory.sizes();
        if self.sent - self.taken == sizes.slots as u64 || input.len() > sizes.buffer as usize {
            return Err(FullError);
        }
        let slot = sizes.slot(self.sent);
        let at = sizes.requests() + slot * REQUEST_BYTES;
        self.memory.write(sizes.inputs() + slot * sizes.buffer as usize, input);
        for (offset, value) in
            [(0, kind as u32), (4, function), (8, input.len() as u32), (12, flags)]
        {
            self.memory.u32_at(at + offset).store(value, Ordering::Relaxed);
        }
        self.memory.u64_at(at + 16).store(budget_ns, Ordering::Relaxed);
        self.sent += 1;
        self.memory.u64_at(REQUEST_HEAD_AT).store(self.sent, Ordering::Release);
        wait::wake(self.memory.u32_at(WORKER_SLEEPS_AT));
        Ok(self.sent - 1)
    }

    /// Requests whose answers were not taken yet.
    pub fn under_way(&self) -> u64 {
        self.sent - self.taken
    }

    /// Take the next answer if it is there.
    #[inline]
    pub fn poll(&mut self) -> Option<Completion> {
        let published = self.memory.u64_at(RESPONSE_HEAD_AT).load(Ordering::Acquire);
        // Whatever the worker publishes, there are no answers to what was not asked.
        if published <= self.taken || self.taken == self.sent {
            return None;
        }
        let sizes = self.memory.sizes();
        let at = sizes.responses() + sizes.slot(self.taken) * RESPONSE_BYTES;
        let memory = &self.memory;
        let completion = Completion {
            number: self.taken,
            ending: memory.u32_at(at + 8).load(Ordering::Relaxed),
            size: memory.u32_at(at + 12).load(Ordering::Relaxed).min(sizes.buffer) as usize,
            load_ns: memory.u64_at(at + 16).load(Ordering::Relaxed),
            run_ns: memory.u64_at(at + 24).load(Ordering::Relaxed),
        };
        self.taken += 1;
        Some(completion)
    }

    /// The payload of the answer just taken. Valid until the slot's next request is sent.
    pub fn output(&self, completion: &Completion) -> Vec<u8> {
        let sizes = self.memory.sizes();
        let slot = sizes.slot(completion.number);
        self.memory.read(sizes.outputs() + slot * sizes.buffer as usize, completion.size)
    }

    /// Sleep until there is an answer, at most `limit`. May return without one.
    pub fn sleep(&self, limit: Duration) {
        let ready = || self.memory.u64_at(RESPONSE_HEAD_AT).load(Ordering::Acquire) > self.taken;
        wait::sleep(self.memory.u32_at(DISPATCHER_SLEEPS_AT), ready, Some(limit));
    }

    /// Whether the worker says that it serves.
    pub fn serving(&self) -> bool {
        self.memory.u32_at(STATE_AT).load(Ordering::Acquire) == State::Serving as u32
    }

    /// Have a worker's successor say itself that it serves.
    pub fn expect_successor(&self) {
        self.memory.u32_at(STATE_AT).store(State::Starting as u32, Ordering::Release);
    }

    /// Whether the worker sleeps until it is woken.
    pub fn worker_sleeps(&self) -> bool {
        self.memory.u32_at(WORKER_SLEEPS_AT).load(Ordering::Acquire) == 1
    }

    /// Ticks of the preemption clock that the worker has seen.
    pub fn ticks(&self) -> u64 {
        self.memory.u64_at(TICKS_AT).load(Ordering::Relaxed)
    }

    /// Why the last worker ended, if it said.
    pub fn last_words(&self) -> String {
        let size = self.memory.u32_at(LAST_WORDS_AT).load(Ordering::Acquire) as usize;
        let bytes = self.memory.read(LAST_WORDS_AT + 4, size.min(LAST_WORDS_BYTES));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
