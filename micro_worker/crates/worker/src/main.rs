//! A worker: one process on one core that runs functions as native calls, one request at a time.
//!
//! Started by a dispatcher with a channel in a descriptor. After set-up it holds no descriptor,
//! can make only the system calls that loading and sleeping need, and serves until it is killed.

#![deny(unsafe_op_in_unsafe_fn)]

mod call;
mod confinement;
mod library;
mod options;
mod seccomp;
mod serve;
mod signals;
mod tick;
mod trusted;

use std::process::exit;

use micro_channel::{Memory, WorkerSide};

use options::Options;

/// Exit statuses; orchestrator/micro/worker.py has the same.
const EXIT_USAGE: i32 = 2;
const EXIT_SET_UP: i32 = 3;

fn main() {
    let options = Options::parse(std::env::args().skip(1)).unwrap_or_else(|fault| {
        eprintln!("micro-worker: {}\n{}", fault, options::USAGE);
        exit(EXIT_USAGE);
    });
    let memory = Memory::open(options.channel).unwrap_or_else(|error| {
        eprintln!("micro-worker: descriptor {} holds no channel: {}", options.channel, error);
        exit(EXIT_SET_UP);
    });
    let server = serve::Server::new(WorkerSide::new(memory), &options);
    let server = server.and_then(|server| confinement::confine(&options).map(|()| server));
    match server {
        Ok(mut server) => server.serve(),
        Err(error) => {
            eprintln!("micro-worker: set-up failed: {}", error);
            exit(EXIT_SET_UP);
        }
    }
}
