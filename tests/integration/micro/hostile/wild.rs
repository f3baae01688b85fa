//! Writes where nothing is.
#![no_std]
extern crate alloc;

use micro::prelude::*;

pub fn main(_: &[u8]) -> Result<Vec<u8>, String> {
    unsafe { core::ptr::write_volatile(64 as *mut u8, 1) };
    Ok(b"{}".to_vec())
}
