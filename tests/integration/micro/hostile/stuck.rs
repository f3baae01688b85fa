//! Waits for ever in code that is not its own: libc's.
#![no_std]
extern crate alloc;

use micro::prelude::*;

#[link(name = "c")]
extern "C" {
    fn pthread_spin_lock(lock: *mut i32) -> i32;
}

pub fn main(_: &[u8]) -> Result<Vec<u8>, String> {
    // What pthread_spin_init leaves is 1; 0 is a lock that somebody holds.
    let mut lock = 0_i32;
    unsafe { pthread_spin_lock(&mut lock) };
    Ok(b"{}".to_vec())
}
