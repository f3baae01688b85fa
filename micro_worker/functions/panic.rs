//! Panics, with what it was given in its message.

use micro::prelude::*;

pub fn main(args: &[u8]) -> Result<Vec<u8>, String> {
    panic!("asked to, with {} bytes", args.len());
}
