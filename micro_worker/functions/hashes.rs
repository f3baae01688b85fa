//! SHA-512 of 64 bytes, as often as the arguments say: `{"hashes": 1000}`. For measuring what a
//! tick takes of a function that computes.

use micro::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha512};

#[derive(Deserialize)]
struct Question {
    hashes: u32,
}

pub fn main(args: &[u8]) -> Result<Vec<u8>, String> {
    let question: Question = serde_json::from_slice(args).map_err(|error| error.to_string())?;
    let mut block = [0_u8; 64];
    for _ in 0..question.hashes {
        // Each depends on the last, so that none can be left out.
        let digest = Sha512::digest(block);
        block.copy_from_slice(&digest);
    }
    Ok(format!("{{\"first\": {}}}", block[0]).into_bytes())
}
