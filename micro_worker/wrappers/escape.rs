//! The root of a library that is stopped by escape. Built by orchestrator/micro/build.py.
#![no_std]

use micro_abi::{Call, Host, Library, Mechanism, VERSION};

unsafe extern "C" fn start(host: *const Host) {
    // SAFETY: the worker's promise, passed on.
    unsafe { micro_runtime::start(host) }
}

unsafe extern "C" fn call(call: *mut Call) -> u32 {
    // SAFETY: the worker's promise, passed on.
    unsafe { micro_runtime::serve(call, function::main) }
}

#[no_mangle]
pub static MICRO_LIBRARY: Library = Library {
    version: VERSION,
    mechanism: Mechanism::Escape as u32,
    start,
    call,
    unwind: None,
    live_bytes: None,
};
