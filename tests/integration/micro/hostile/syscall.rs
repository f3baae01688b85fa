//! Makes the system call whose number, and first three arguments, it is given: "41 0 0 0".
#![no_std]
extern crate alloc;

use core::arch::asm;
use micro::prelude::*;

pub fn main(args: &[u8]) -> Result<Vec<u8>, String> {
    let text = core::str::from_utf8(args).unwrap();
    let digits = text.split(|letter: char| !letter.is_ascii_digit());
    let words: Vec<u64> = digits.filter_map(|word| word.parse().ok()).collect();
    let mut result = words[0];
    unsafe {
        asm!(
            "syscall",
            inout("rax") result,
            in("rdi") words.get(1).copied().unwrap_or(0),
            in("rsi") words.get(2).copied().unwrap_or(0),
            in("rdx") words.get(3).copied().unwrap_or(0),
            out("rcx") _,
            out("r11") _,
        )
    };
    Ok(alloc::format!("{{\"result\": {}}}", result as i64).into_bytes())
}
