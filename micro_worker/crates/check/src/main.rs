//! Says whether a function's source may be compiled: `micro-check FILE`.
//!
//! Each fault goes to stdout as `line: reason`; status 1 if there is any. The compiler refuses most
//! of the same (`-F unsafe-code`, a sysroot without `std`); here the reasons are named, and what the
//! compiler would let through is refused.

#![forbid(unsafe_code)]

mod rules;

use std::process::exit;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let file = match &arguments[..] {
        [file] => file,
        _ => {
            eprintln!("usage: micro-check FILE");
            exit(2);
        }
    };
    let source = std::fs::read_to_string(file).unwrap_or_else(|error| {
        eprintln!("micro-check: {}: {}", file, error);
        exit(2);
    });
    let faults = rules::faults(&source);
    for fault in &faults {
        println!("{}: {}", fault.line, fault.reason);
    }
    exit(i32::from(!faults.is_empty()));
}
