//! The hashes of `sha2` and no more. The crates that it exports beside them are not for functions:
//! `generic_array::arr!` has a transmute of any size within reach of its arguments.
#![no_std]

pub use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};
