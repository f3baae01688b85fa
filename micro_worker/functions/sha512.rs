//! SHA-512 of the arguments' 64 bytes, as the paper's preemption experiment has it: the arguments
//! are the bytes themselves, of any number, and the result is the digest in hexadecimal.

use micro::prelude::*;
use sha2::{Digest, Sha512};

pub fn main(args: &[u8]) -> Result<Vec<u8>, String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha512::digest(args);
    let mut text = Vec::with_capacity(144);
    text.extend_from_slice(b"{\"sha512\": \"");
    for byte in digest {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text.extend_from_slice(b"\"}");
    Ok(text)
}
