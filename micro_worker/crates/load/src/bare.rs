//! The machine's own share: the same function in a bare loop under the same clock, and the clock.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use micro_abi::{Call, Host, Library, Timespec, SYMBOL};
use micro_channel::now_ns;

use crate::options::Options;
use crate::output::Object;
use crate::peer::pin;

static TICKS: AtomicU64 = AtomicU64::new(0);
static TIMER: AtomicUsize = AtomicUsize::new(0);
static END_NS: AtomicU64 = AtomicU64::new(u64::MAX);

/// Counts; ends the clock when it is time, because a fast clock may leave nobody else the time to.
extern "C" fn count(_: i32) {
    TICKS.store(TICKS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    if now_ns() > END_NS.load(Ordering::Relaxed) {
        // SAFETY: all-zero stops a timer; the timer is there while its signals are.
        unsafe {
            let stop: libc::itimerspec = std::mem::zeroed();
            let timer = TIMER.load(Ordering::Relaxed) as libc::timer_t;
            libc::timer_settime(timer, 0, &stop, std::ptr::null_mut());
        }
    }
}

/// Calls of the function without worker, channel or budget, under a tick whose handler counts.
pub fn throughput(options: &Options) -> Result<Object, String> {
    pin(options.worker_core)?;
    let library = open(options.function()?)?;
    const ARENA: usize = 1 << 20;
    let mut arena: Vec<Page> = Vec::new();
    arena.resize_with(ARENA / 4096, || Page([0; 4096]));
    let host = Host { arena: arena.as_mut_ptr().cast(), arena_size: ARENA, clock, leave: give_up };
    let mut output = vec![0_u8; 4096];
    let mut call = Call {
        input: options.input.as_ptr(),
        input_size: options.input.len(),
        output: output.as_mut_ptr(),
        output_capacity: output.len(),
        output_size: 0,
    };
    // SAFETY: a library of the build; the host and the buffers outlive the calls.
    unsafe { (library.start)(&host) };
    let _neighbour = Neighbour::new(options.load_core);
    let start = now_ns();
    let end = start + options.milliseconds * 1_000_000;
    let _clock = tick(options.quantum_ns, end)?;
    let mut calls = 0_u64;
    while now_ns() < end {
        // SAFETY: as above.
        let ending = unsafe { (library.call)(&mut call) };
        if ending != 0 {
            return Err(format!("the function ended with {}", ending));
        }
        calls += 1;
    }
    Ok(Object::default()
        .number("answered", calls)
        .number("elapsed_ns", now_ns() - start)
        .number("ticks", TICKS.load(Ordering::Relaxed)))
}

/// Nanoseconds between ticks, as a spinning process sees them.
pub fn jitter(options: &Options) -> Result<Object, String> {
    pin(options.worker_core)?;
    let mut intervals = Vec::with_capacity(options.requests);
    let end = now_ns() + options.milliseconds * 1_000_000;
    let _clock = tick(options.quantum_ns, end)?;
    let (mut seen, mut last) = (0, 0);
    while intervals.len() < options.requests && now_ns() < end {
        let ticks = TICKS.load(Ordering::Relaxed);
        if ticks != seen {
            let now = now_ns();
            if seen != 0 {
                intervals.push(now - last);
            }
            (seen, last) = (ticks, now);
        }
        std::hint::spin_loop();
    }
    Ok(Object::default().samples("interval_ns", &intervals))
}

/// Looks for an answer that never comes, on the load generator's core: beside a worker the generator
/// does, and two cores may share what a tick needs.
struct Neighbour(Option<JoinHandle<()>>);

static LOOKING: AtomicBool = AtomicBool::new(true);

impl Neighbour {
    fn new(core: usize) -> Neighbour {
        Neighbour(Some(std::thread::spawn(move || {
            if pin(core).is_ok() {
                while LOOKING.load(Ordering::Acquire) {
                    std::hint::spin_loop();
                }
            }
        })))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        LOOKING.store(false, Ordering::Release);
        let _ = self.0.take().map(JoinHandle::join);
    }
}

#[repr(align(4096))]
struct Page([u8; 4096]);

fn open(path: &str) -> Result<&'static Library, String> {
    let file = CString::new(path).map_err(|_| "its path holds a zero byte".to_owned())?;
    // SAFETY: C strings; a library of the build, which is never unloaded.
    unsafe {
        let handle = libc::dlopen(file.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
        if handle.is_null() {
            return Err(format!("{} cannot be loaded", path));
        }
        let table = libc::dlsym(handle, SYMBOL.as_ptr().cast()).cast::<Library>();
        table.as_ref().ok_or_else(|| format!("{} was not built for Micro", path))
    }
}

unsafe extern "C" fn clock(number: i32, time: *mut Timespec) -> i32 {
    // SAFETY: the caller gives a place; both structures are the kernel's.
    unsafe { libc::clock_gettime(number, time.cast()) }
}

unsafe extern "C" fn give_up(ending: u32) -> ! {
    eprintln!("the function ended with {}", ending);
    std::process::exit(1)
}

/// A tick that ends with this value.
struct Clock(libc::timer_t);

impl Drop for Clock {
    fn drop(&mut self) {
        // SAFETY: a timer of ours, deleted once.
        unsafe { libc::timer_delete(self.0) };
    }
}

fn tick(quantum_ns: u64, end_ns: u64) -> Result<Clock, String> {
    let mut timer: libc::timer_t = std::ptr::null_mut();
    let period = libc::timespec {
        tv_sec: (quantum_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (quantum_ns % 1_000_000_000) as i64,
    };
    let setting = libc::itimerspec { it_interval: period, it_value: period };
    // The same kind of tick as the worker's: to this thread, with its own stack and a context.
    // SAFETY: all-zero is a value of these structures, the stack is leaked, and the handler only
    // counts; the kernel passes it more arguments than it reads.
    unsafe {
        const SIZE: usize = 128 << 10;
        let memory = Box::leak(vec![0_u8; SIZE].into_boxed_slice());
        let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: SIZE };
        libc::sigaltstack(&stack, std::ptr::null_mut());
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGALRM;
        event.sigev_notify_thread_id = libc::gettid();
        if libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()) != 0
            || libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer) != 0
        {
            return Err(std::io::Error::last_os_error().to_string());
        }
        TIMER.store(timer as usize, Ordering::Relaxed);
        END_NS.store(end_ns, Ordering::Relaxed);
        libc::timer_settime(timer, 0, &setting, std::ptr::null_mut());
    }
    Ok(Clock(timer))
}
