//! Only a place to list the crates on the allow-list, so that they are built together.
#![no_std]
