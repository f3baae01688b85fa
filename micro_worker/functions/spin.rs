//! Never ends.

use micro::prelude::*;

pub fn main(_args: &[u8]) -> Result<Vec<u8>, String> {
    let mut turns = 0_u64;
    loop {
        turns = turns.wrapping_mul(3).wrapping_add(1);
        core::hint::spin_loop();
    }
}
