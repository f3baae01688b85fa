//! Entering a function on its own stack, and leaving it from anywhere.
//!
//! `enter` saves what the System V ABI has a callee preserve, changes to the function's stack and
//! calls. Three ways lead back to the same landing: the function returns; the library's runtime
//! jumps (`leave`); a signal handler lets the kernel resume at the landing (`escape`). The last two
//! abandon the function's frames as they are.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use micro_abi::{Call, Ending};

use crate::trusted::Range;

std::arch::global_asm!(
    ".globl micro_enter, micro_landing, micro_leave",
    ".hidden micro_enter, micro_landing, micro_leave",
    ".type micro_enter, @function",
    // u32 micro_enter(u32 (*)(Call *), Call *, void *stack_top)
    "micro_enter:",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "sub rsp, 8",
    "stmxcsr [rsp]",
    "fnstcw [rsp + 4]",
    "mov [rip + MICRO_SAVED_STACK], rsp",
    "mov rax, rdi",
    "mov rdi, rsi",
    "mov rsp, rdx",
    "call rax",
    "mov rsp, [rip + MICRO_SAVED_STACK]",
    "jmp 2f",
    // Here with the ending in eax and the saved stack in rsp. An abandoned function may have left
    // the x87 stack in use.
    "micro_landing:",
    "fninit",
    "2:",
    "ldmxcsr [rsp]",
    "fldcw [rsp + 4]",
    "add rsp, 8",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    ".type micro_leave, @function",
    "micro_leave:",
    "mov eax, edi",
    "mov rsp, [rip + MICRO_SAVED_STACK]",
    "jmp micro_landing",
);

extern "C" {
    fn micro_enter(
        function: unsafe extern "C" fn(*mut Call) -> u32,
        call: *mut Call,
        stack_top: *mut u8,
    ) -> u32;
    fn micro_landing();
    fn micro_leave(ending: u32) -> !;
}

#[no_mangle]
static MICRO_SAVED_STACK: AtomicUsize = AtomicUsize::new(0);

/// What signal handlers know of the call under way. One thread writes, its handlers read.
pub struct UnderWay {
    pub active: AtomicU32,
    /// Monotonic ns at which the budget is used up.
    pub deadline_ns: AtomicU64,
    text_start: AtomicUsize,
    text_end: AtomicUsize,
    guard_start: AtomicUsize,
    guard_end: AtomicUsize,
    /// Ticks over the deadline at which the function was not in its own code.
    pub deferred: AtomicU32,
    /// Number of the system call that was refused.
    pub refused_call: AtomicU32,
}

pub static UNDER_WAY: UnderWay = UnderWay {
    active: AtomicU32::new(0),
    deadline_ns: AtomicU64::new(u64::MAX),
    text_start: AtomicUsize::new(0),
    text_end: AtomicUsize::new(0),
    guard_start: AtomicUsize::new(0),
    guard_end: AtomicUsize::new(0),
    deferred: AtomicU32::new(0),
    refused_call: AtomicU32::new(0),
};

impl UnderWay {
    /// Whether an address lies in the library of the function under way.
    pub fn in_function(&self, address: usize) -> bool {
        address >= self.text_start.load(Ordering::Relaxed)
            && address < self.text_end.load(Ordering::Relaxed)
    }

    /// Whether an address lies below the end of the function's stack.
    pub fn in_guard(&self, address: usize) -> bool {
        address >= self.guard_start.load(Ordering::Relaxed)
            && address < self.guard_end.load(Ordering::Relaxed)
    }
}

/// The function jumps here to end its call.
pub fn leave_address() -> unsafe extern "C" fn(u32) -> ! {
    micro_leave
}

/// Have the kernel go on at the landing when the signal handler returns.
///
/// # Safety
/// `context` is the handler's, a call is under way, and it was interrupted where nothing but its own
/// memory is half changed: in the library, which shares nothing with the worker, or in the vDSO.
pub unsafe fn escape(context: *mut libc::ucontext_t, ending: Ending) {
    const DIRECTION_FLAG: i64 = 0x400;
    // SAFETY: the kernel has put the context there, and it takes the registers from it again.
    let registers = unsafe { &mut (*context).uc_mcontext.gregs };
    registers[libc::REG_RAX as usize] = ending as i64;
    registers[libc::REG_RIP as usize] = micro_landing as usize as i64;
    registers[libc::REG_RSP as usize] = MICRO_SAVED_STACK.load(Ordering::Relaxed) as i64;
    registers[libc::REG_EFL as usize] &= !DIRECTION_FLAG;
}

/// The stack on which functions run: a guard that no access passes, then the stack.
pub struct Stack {
    top: *mut u8,
}

/// Rust's stack probes touch every page of a frame, but not what aligning it skips: up to 2^29
/// bytes, `repr(align)`'s most. Address space only.
const GUARD: usize = (1 << 29) + (64 << 10);

impl Stack {
    /// Map a stack; it stays for the life of the process.
    pub fn new(size: usize) -> io::Result<Stack> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping touches nothing that is there; the guard is part of it.
        unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let start = libc::mmap(std::ptr::null_mut(), GUARD + size, protection, flags, -1, 0);
            if start == libc::MAP_FAILED || libc::mprotect(start, GUARD, libc::PROT_NONE) != 0 {
                return Err(io::Error::last_os_error());
            }
            UNDER_WAY.guard_start.store(start as usize, Ordering::Relaxed);
            UNDER_WAY.guard_end.store(start as usize + GUARD, Ordering::Relaxed);
            Ok(Stack { top: start.cast::<u8>().add(GUARD + size) })
        }
    }

    /// Run a library's entry on this stack until it ends, however it does; returns its `Ending`.
    ///
    /// # Safety
    /// `entry` is the entry of a loaded library whose code is `text`, and `call` fits it.
    #[inline]
    pub unsafe fn run(
        &self,
        entry: unsafe extern "C" fn(*mut Call) -> u32,
        text: Range,
        call: &mut Call,
        deadline_ns: u64,
    ) -> u32 {
        let state = &UNDER_WAY;
        state.text_start.store(text.start, Ordering::Relaxed);
        state.text_end.store(text.end, Ordering::Relaxed);
        state.deadline_ns.store(deadline_ns, Ordering::Relaxed);
        state.deferred.store(0, Ordering::Relaxed);
        // Handlers run on this thread: what they see is in program order.
        state.active.store(1, Ordering::Release);
        // SAFETY: the caller's promise; the landing restores all that this function relies on.
        let ending = unsafe { micro_enter(entry, call, self.top) };
        state.active.store(0, Ordering::Release);
        ending
    }
}
