//! The paper's function: what time is it?

use micro::prelude::*;

pub fn main(_args: &[u8]) -> Result<Vec<u8>, String> {
    Ok(format!("{{\"time_ns\": {}}}", micro::unix_time_ns()).into_bytes())
}
