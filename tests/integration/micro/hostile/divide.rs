//! Divides by zero, as the processor sees it.
#![no_std]
extern crate alloc;

use core::arch::asm;
use micro::prelude::*;

pub fn main(_: &[u8]) -> Result<Vec<u8>, String> {
    unsafe { asm!("div {0}", in(reg) 0_u64, inout("rax") 1_u64 => _, inout("rdx") 0_u64 => _) };
    Ok(b"{}".to_vec())
}
