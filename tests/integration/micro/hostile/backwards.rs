//! Spins with the direction flag set: what is left of it would break every copy.
#![no_std]
extern crate alloc;

use core::arch::asm;
use micro::prelude::*;

pub fn main(_: &[u8]) -> Result<Vec<u8>, String> {
    unsafe { asm!("std", "2:", "pause", "jmp 2b", options(noreturn)) };
}
