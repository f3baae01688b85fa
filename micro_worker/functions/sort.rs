//! Makes strings and sorts them, for ever.

use micro::prelude::*;

pub fn main(_args: &[u8]) -> Result<Vec<u8>, String> {
    let mut sorted = 0_usize;
    for turn in 0_u32.. {
        let mut words: Vec<String> =
            (0..200_u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761) ^ turn)).collect();
        words.sort();
        sorted += words.len();
    }
    Ok(format!("{}", sorted).into_bytes())
}
