//! The signal handlers: the tick that preempts, and the faults of functions.
//!
//! A handler decides by where the function was interrupted. In the library's own code or the vDSO
//! nothing of the worker is half changed, so the call is left at once. Anywhere else the tick waits
//! for its successor, up to `MOST_DEFERRED` times; a fault there ends the worker.

use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use micro_abi::{Ending, Mechanism};
use micro_channel::{now_ns, WorkerSide};

use crate::call::{self, UNDER_WAY};
use crate::trusted::Range;

/// Ticks for which a function may be over its budget outside of its own code.
const MOST_DEFERRED: u32 = 1000;

/// The status of a worker that gives itself up; its last words are in the channel.
pub const EXIT_GIVEN_UP: i32 = 70;

static VDSO_START: AtomicUsize = AtomicUsize::new(0);
static VDSO_END: AtomicUsize = AtomicUsize::new(0);
static TICKS: AtomicPtr<AtomicU64> = AtomicPtr::new(std::ptr::null_mut());
static SIDE: AtomicPtr<WorkerSide> = AtomicPtr::new(std::ptr::null_mut());
/// The `unwind` of the library under way; null while there is none.
pub static UNWIND: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());
/// Set by a fault that may have left the worker's memory in any state.
pub static DISTRUSTED: AtomicBool = AtomicBool::new(false);

/// Install the handlers, on a stack of their own.
///
/// # Safety
/// `side` must live as long as the process.
pub unsafe fn install(mechanism: Mechanism, vdso: Range, side: *mut WorkerSide) -> io::Result<()> {
    VDSO_START.store(vdso.start, Ordering::Relaxed);
    VDSO_END.store(vdso.end, Ordering::Relaxed);
    SIDE.store(side, Ordering::Relaxed);
    // SAFETY: the caller keeps the side.
    TICKS.store(unsafe { (*side).ticks() } as *mut AtomicU64, Ordering::Relaxed);
    other_stack()?;
    unblock()?;
    match mechanism {
        Mechanism::Escape => handle(libc::SIGALRM, on_tick as usize, libc::SA_ONSTACK)?,
        // Unwinding leaves the handler for good, so its signal must not stay blocked; and it needs
        // the function's frames on the same stack.
        Mechanism::Unwind => handle(libc::SIGALRM, on_tick_unwind as usize, libc::SA_NODEFER)?,
    }
    for signal in [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGABRT,
        libc::SIGSYS,
    ] {
        handle(signal, on_fault as usize, libc::SA_ONSTACK)?;
    }
    Ok(())
}

/// Handlers must run when the function's stack is used up.
fn other_stack() -> io::Result<()> {
    const SIZE: usize = 128 << 10;
    let memory = Box::leak(vec![0_u8; SIZE].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: SIZE };
    // SAFETY: the memory is leaked, so it stays.
    match unsafe { libc::sigaltstack(&stack, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What the dispatcher's thread blocks is blocked here too at first: no tick would come.
fn unblock() -> io::Result<()> {
    // SAFETY: all-zero is a value of `sigset_t`, and `sigemptyset` makes it an empty one.
    let status = unsafe {
        let mut none: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut())
    };
    match status {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn handle(signal: i32, handler: usize, flags: i32) -> io::Result<()> {
    // SAFETY: all-zero is a value of `sigaction`; the handlers have the signature of SA_SIGINFO.
    let status = unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags | libc::SA_SIGINFO;
        libc::sigaction(signal, &action, std::ptr::null_mut())
    };
    match status {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn count_tick() {
    // SAFETY: set once, before the handlers, to a word of the channel.
    let ticks = unsafe { &*TICKS.load(Ordering::Relaxed) };
    // One writer: no locked instruction is needed.
    ticks.store(ticks.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

fn over_budget() -> bool {
    let deadline = UNDER_WAY.deadline_ns.load(Ordering::Relaxed);
    UNDER_WAY.active.load(Ordering::Acquire) == 1 && deadline != u64::MAX && now_ns() >= deadline
}

extern "C" fn on_tick(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    count_tick();
    if !over_budget() {
        return;
    }
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel's context; the call is left only from where nothing is half changed.
    unsafe {
        if abandonable(context) {
            call::escape(context, Ending::OverBudget);
            return;
        }
    }
    let deferred = UNDER_WAY.deferred.load(Ordering::Relaxed) + 1;
    UNDER_WAY.deferred.store(deferred, Ordering::Relaxed);
    if deferred > MOST_DEFERRED {
        give_up("a function over its budget stayed where it cannot be stopped safely");
    }
}

/// Of Rust's ABI: C's may not be unwound through. For these three arguments both are the same.
fn on_tick_unwind(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    count_tick();
    let unwind = UNWIND.load(Ordering::Relaxed);
    if unwind.is_null() || !over_budget() {
        return;
    }
    // SAFETY: the table of a library built for this holds a `fn()` there.
    let unwind: fn() = unsafe { mem::transmute(unwind) };
    unwind();
}

extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel's own structures.
    unsafe {
        if UNDER_WAY.active.load(Ordering::Acquire) == 0 || !abandonable(context) {
            give_up(outside(signal));
        }
        let ending = match signal {
            libc::SIGFPE => Ending::ArithmeticTrap,
            libc::SIGILL | libc::SIGTRAP | libc::SIGABRT => Ending::Aborted,
            libc::SIGSYS => {
                UNDER_WAY.refused_call.store(refused_call(info), Ordering::Relaxed);
                Ending::ForbiddenCall
            }
            _ if UNDER_WAY.in_guard((*info).si_addr() as usize) => Ending::StackOverflow,
            _ => {
                // Safe code does not get here, so something has gone round the compiler.
                DISTRUSTED.store(true, Ordering::Relaxed);
                Ending::MemoryFault
            }
        };
        call::escape(context, ending);
    }
}

/// Whether a call may be left where it was interrupted.
///
/// # Safety
/// `context` is a handler's.
unsafe fn abandonable(context: *const libc::ucontext_t) -> bool {
    // SAFETY: the caller's promise.
    let at = unsafe { (*context).uc_mcontext.gregs[libc::REG_RIP as usize] } as usize;
    UNDER_WAY.in_function(at)
        || (VDSO_START.load(Ordering::Relaxed)..VDSO_END.load(Ordering::Relaxed)).contains(&at)
}

/// The number that seccomp reports.
///
/// # Safety
/// `info` is SIGSYS's.
unsafe fn refused_call(info: *const libc::siginfo_t) -> u32 {
    // si_signo, si_errno, si_code, padding; then _call_addr (8 bytes), _syscall.
    const SYSCALL_AT: usize = 24;
    // SAFETY: `siginfo_t` has 128 bytes, and the kernel has filled these for SIGSYS.
    unsafe { info.cast::<u8>().add(SYSCALL_AT).cast::<u32>().read() }
}

fn outside(signal: i32) -> &'static str {
    match signal {
        libc::SIGSYS => "a system call outside of the allow-list, not made by a function",
        libc::SIGABRT => "abort outside of a function's code",
        _ => "a fault outside of a function's code",
    }
}

/// End this worker; the dispatcher replaces it, and its queue waits in the channel.
pub fn give_up(why: &str) -> ! {
    let side = SIDE.load(Ordering::Relaxed);
    // SAFETY: the side lives as long as the process; writing text into the channel touches nothing
    // that a handler could have interrupted half-way. `_exit` runs no handlers of std.
    unsafe {
        if let Some(side) = side.as_ref() {
            side.last_words(why);
        }
        libc::_exit(EXIT_GIVEN_UP)
    }
}
