//! Executes an instruction that does not exist.
#![no_std]
extern crate alloc;

use core::arch::asm;
use micro::prelude::*;

pub fn main(_: &[u8]) -> Result<Vec<u8>, String> {
    unsafe { asm!("ud2") };
    Ok(b"{}".to_vec())
}
