//! Allocates and frees for ever, in blocks of many sizes.

use micro::prelude::*;

pub fn main(_args: &[u8]) -> Result<Vec<u8>, String> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for turn in 0_usize.. {
        kept.push(vec![turn as u8; 16 + turn % 500]);
        if kept.len() > 50 {
            kept.swap_remove(turn % 50);
        }
    }
    Ok(format!("{}", kept.len()).into_bytes())
}
