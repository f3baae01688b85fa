//! Leaks what it allocates: 1000 blocks of 1000 bytes, by default, in each call.

use micro::prelude::*;

pub fn main(_args: &[u8]) -> Result<Vec<u8>, String> {
    let mut sum = 0;
    for number in 0..1000_usize {
        let block: &'static mut [u8] = Box::leak(vec![number as u8; 1000].into_boxed_slice());
        sum += usize::from(block[number]);
    }
    Ok(format!("{{\"sum\": {}}}", sum).into_bytes())
}
