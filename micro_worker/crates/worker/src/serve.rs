//! The worker's loop: take a request, call the function, answer.

use std::io;
use std::sync::atomic::Ordering;

use micro_abi::{Ending, Host, Mechanism};
use micro_arena::Arena;
use micro_channel::{now_ns, Kind, Request, State, Timing, WorkerSide};

use crate::call::{self, Stack, UNDER_WAY};
use crate::confinement;
use crate::library::{self, Loaded};
use crate::options::Options;
use crate::signals::{self, DISTRUSTED, UNWIND};
use crate::tick::Tick;
use crate::trusted::Trusted;

/// What of the arena stays in memory between calls; what calls used above it is given back.
const KEPT_ARENA: usize = 1 << 20;

/// What is given back at once, before another look for a request.
const TRIMMED: usize = 256 << 10;

const PAGE: usize = 4096;

/// Looks for a request between two looks at the clock.
const LOOKS: u32 = 64;

/// A worker, set up.
pub struct Server {
    // Boxed: the signal handlers and the libraries know their addresses.
    side: Box<WorkerSide>,
    host: Box<Host>,
    stack: Stack,
    tick: Tick,
    mechanism: Mechanism,
    spin_ns: u64,
    libraries: Vec<Option<Loaded>>,
    /// Bytes from the arena's start that calls have used and that were not given back.
    used_arena: usize,
}

impl Server {
    /// Set everything up for which system calls are needed that will be refused later.
    pub fn new(side: WorkerSide, options: &Options) -> io::Result<Server> {
        confinement::attach(options.core)?;
        let mut side = Box::new(side);
        let host = Box::new(Host {
            arena: arena(options.arena)?,
            arena_size: options.arena,
            clock: library::vdso_clock(),
            leave: call::leave_address(),
        });
        let stack = Stack::new(options.stack)?;
        let vdso = Trusted::read()?.vdso;
        // SAFETY: the server, and so the side, lives until the process ends.
        unsafe { signals::install(options.mechanism, vdso, &mut *side)? };
        let functions = side.sizes().functions as usize;
        let mut libraries = Vec::new();
        libraries.resize_with(functions, || None);
        Ok(Server {
            side,
            host,
            stack,
            tick: Tick::new(options.quantum_ns)?,
            mechanism: options.mechanism,
            spin_ns: options.spin_us * 1000,
            libraries,
            used_arena: 0,
        })
    }

    /// Serve until the process is ended.
    pub fn serve(&mut self) -> ! {
        self.side.set_state(State::Serving);
        self.tick.start();
        loop {
            self.wait();
            match self.side.take() {
                Ok(request) => self.answer(request),
                Err(fault) => {
                    self.side.answer_bytes(Ending::BadRequest, fault.as_bytes(), Timing::default())
                }
            }
            if DISTRUSTED.load(Ordering::Relaxed) {
                signals::give_up("a function read or wrote where it may not");
            }
        }
    }

    /// Look for a request for a while, then sleep; the clock does not tick meanwhile.
    #[inline]
    fn wait(&mut self) {
        if self.side.waiting() {
            return;
        }
        // Here, and not after a call: no request waits for what another one's heap has taken.
        while self.used_arena > KEPT_ARENA {
            self.trim();
            if self.side.waiting() {
                return;
            }
        }
        let mut until = now_ns() + self.spin_ns;
        loop {
            for _ in 0..LOOKS {
                if self.side.waiting() {
                    return;
                }
                std::hint::spin_loop();
            }
            if now_ns() >= until {
                self.tick.stop();
                self.side.sleep();
                self.tick.start();
                until = now_ns() + self.spin_ns;
            }
        }
    }

    fn answer(&mut self, request: Request) {
        let mut timing = Timing::default();
        let number = request.function as usize;
        if !self.libraries.get(number).map_or(false, Option::is_some) {
            if request.kind == Kind::Unload {
                return self.side.answer(Ending::Returned, 0, timing);
            }
            let start = now_ns();
            let loaded = self.load(request.function);
            timing.load_ns = now_ns() - start;
            match loaded {
                Ok(loaded) => self.libraries[number] = Some(loaded),
                Err(fault) => {
                    return self.side.answer_bytes(Ending::NotLoaded, fault.as_bytes(), timing)
                }
            }
        }
        match request.kind {
            Kind::Call => self.call(request, timing),
            Kind::Load => self.side.answer(Ending::Returned, 0, timing),
            Kind::Unload => {
                self.libraries[number] = None;
                self.side.answer(Ending::Returned, 0, timing);
            }
        }
    }

    fn load(&self, number: u32) -> Result<Loaded, String> {
        let registered = self
            .side
            .function(number)
            .ok_or_else(|| format!("function {} is not registered", number))?;
        // SAFETY: the dispatcher registers only what the build has made; the host stays.
        let loaded = unsafe { Loaded::open(&registered.path, self.mechanism, &*self.host) };
        loaded.map_err(|fault| format!("{} cannot be loaded: {}", registered.name, fault))
    }

    fn call(&mut self, request: Request, mut timing: Timing) {
        let library = match &self.libraries[request.function as usize] {
            Some(library) => library,
            None => return self.side.answer(Ending::NotLoaded, 0, timing),
        };
        let mut call = self.side.buffers(request.input_size);
        if let Some(unwind) = library.table.unwind {
            UNWIND.store(unwind as *mut (), Ordering::Relaxed);
        }
        let start = now_ns();
        let deadline = match request.budget_ns {
            0 => u64::MAX,
            budget => start.saturating_add(budget),
        };
        // SAFETY: the library is loaded, and the slot's buffers are ours until the answer.
        let ending =
            unsafe { self.stack.run(library.table.call, library.text, &mut call, deadline) };
        timing.run_ns = now_ns() - start;
        let ending = known(ending);
        let size = call.output_size.min(call.output_capacity);
        let whole = matches!(ending, Ending::Returned | Ending::Failed | Ending::ResultTooLarge);
        if !whole && self.mechanism == Mechanism::Escape {
            // SAFETY: the call is over.
            unsafe { library.restore() };
        }
        if request.forget {
            self.libraries[request.function as usize] = None;
        }
        match ending {
            Ending::Returned | Ending::Failed | Ending::Panicked => {
                self.side.answer(ending, size, timing)
            }
            Ending::ForbiddenCall => {
                let number = UNDER_WAY.refused_call.load(Ordering::Relaxed).to_string();
                self.side.answer_bytes(ending, number.as_bytes(), timing);
            }
            _ => self.side.answer(ending, 0, timing),
        }
        // SAFETY: the arena is mapped, zero or a heap's, and no call is under way.
        let reach = unsafe { Arena::reach(self.host.arena) };
        self.used_arena = self.used_arena.max(reach).min(self.host.arena_size);
    }

    /// Give back the end of what calls have used of the arena above `KEPT_ARENA`.
    fn trim(&mut self) {
        let start = self.used_arena.saturating_sub(TRIMMED).max(KEPT_ARENA) & !(PAGE - 1);
        let size = self.used_arena - start;
        // SAFETY: inside of the arena, in which nothing lives between calls.
        unsafe { libc::madvise(self.host.arena.add(start).cast(), size, libc::MADV_DONTNEED) };
        self.used_arena = start;
    }
}

fn known(ending: u32) -> Ending {
    const ENDINGS: [Ending; 11] = [
        Ending::Returned,
        Ending::Failed,
        Ending::Panicked,
        Ending::OverBudget,
        Ending::OutOfMemory,
        Ending::StackOverflow,
        Ending::ArithmeticTrap,
        Ending::Aborted,
        Ending::MemoryFault,
        Ending::ForbiddenCall,
        Ending::ResultTooLarge,
    ];
    ENDINGS.get(ending as usize).copied().unwrap_or(Ending::Aborted)
}

fn arena(size: usize) -> io::Result<*mut u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at a place of the kernel's choice touches nothing that is there.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags, -1, 0) };
    if memory == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(memory.cast())
}
