//! The runtime of a library that is stopped by escape: its heap, its panics, its entry.
//!
//! Nothing here takes a lock, makes a system call or calls into the worker except to leave for
//! good, so a call may be abandoned at any instruction.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]
// Debian's compiler (1.63) has no default for this; 1.68 and later have, and then it goes away.
#![feature(alloc_error_handler)]

extern crate alloc;

mod heap;
mod memory;
mod panic;

use alloc::string::String;
use alloc::vec::Vec;
use core::ptr::{copy_nonoverlapping, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};

use micro_abi::{Call, Ending, Host, Timespec};

static HOST: AtomicPtr<Host> = AtomicPtr::new(null_mut());
static CALL: AtomicPtr<Call> = AtomicPtr::new(null_mut());

pub type Function = fn(&[u8]) -> Result<Vec<u8>, String>;

/// Keep what the worker offers.
///
/// # Safety
/// `host` must stay valid while the library is loaded.
pub unsafe fn start(host: *const Host) {
    HOST.store(host as *mut Host, Ordering::Relaxed);
}

/// Run `main` on a call's input with an empty heap, and put what it gives into the call's output.
///
/// # Safety
/// `start` was called; `call` and its buffers are valid and nobody else's until this returns.
pub unsafe fn serve(call: *mut Call, main: Function) -> u32 {
    CALL.store(call, Ordering::Relaxed);
    // SAFETY: the worker gives valid buffers, and the heap's memory is this call's alone.
    let (call, input) = unsafe {
        heap::reset(host());
        let call = &mut *call;
        let input = match call.input_size {
            0 => &[][..],
            size => core::slice::from_raw_parts(call.input, size),
        };
        (call, input)
    };
    let (ending, output) = match main(input) {
        Ok(result) => (Ending::Returned, result),
        Err(reason) => (Ending::Failed, reason.into_bytes()),
    };
    let room = call.output_capacity;
    if output.len() > room && ending == Ending::Returned {
        call.output_size = 0;
        return Ending::ResultTooLarge as u32;
    }
    let size = output.len().min(room);
    // SAFETY: `size` bytes fit, and the heap and the channel's buffer are apart.
    unsafe { copy_nonoverlapping(output.as_ptr(), call.output, size) };
    call.output_size = size;
    // The heap goes as a whole; giving single blocks back would be wasted.
    core::mem::forget(output);
    ending as u32
}

fn host() -> &'static Host {
    // SAFETY: `start` came before any call, and the worker keeps the host.
    unsafe { &*HOST.load(Ordering::Relaxed) }
}

fn leave(ending: Ending) -> ! {
    // SAFETY: only reached while a call is under way, which is what `leave` ends.
    unsafe { (host().leave)(ending as u32) }
}

/// The SDK's clocks.
#[no_mangle]
fn micro_clock_ns(clock: i32) -> u64 {
    let mut time = Timespec::default();
    // SAFETY: the vDSO's function, with a place to write to.
    unsafe { (host().clock)(clock, &mut time) };
    time.seconds as u64 * 1_000_000_000 + time.nanoseconds as u64
}

/// The `Call` under way, for the panic handler.
fn current_call() -> *mut Call {
    CALL.load(Ordering::Relaxed)
}
