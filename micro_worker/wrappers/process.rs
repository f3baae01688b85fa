//! The root of a function as a program of its own: the baseline of processes.
//! Built by orchestrator/micro/build.py.
//!
//!   PROGRAM --once         arguments on stdin, result on stdout, status 1 for an error
//!   PROGRAM --channel FD   stay, and serve the channel; sleep between requests

use std::io::{Read, Write};
use std::process::exit;

use micro_channel::{Ending, Memory, State, Timing, WorkerSide};

/// The SDK's clocks.
#[no_mangle]
fn micro_clock_ns(clock: i32) -> u64 {
    micro_channel::clock_ns(clock)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--once"] => once(),
        ["--channel", descriptor] => match descriptor.parse() {
            Ok(descriptor) => serve(descriptor),
            Err(_) => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("usage: --once | --channel FD");
    exit(2)
}

fn once() -> ! {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).expect("stdin can be read");
    let (status, output) = match function::main(&input) {
        Ok(result) => (0, result),
        Err(reason) => (1, reason.into_bytes()),
    };
    std::io::stdout().write_all(&output).expect("stdout can be written");
    exit(status)
}

fn serve(descriptor: i32) -> ! {
    let memory = Memory::open(descriptor).expect("the descriptor holds a channel");
    let mut side = WorkerSide::new(memory);
    side.set_state(State::Serving);
    loop {
        while !side.waiting() {
            side.sleep();
        }
        match side.take() {
            Ok(request) => {
                let input = side.input(&request);
                match function::main(&input) {
                    Ok(result) => side.answer_bytes(Ending::Returned, &result, Timing::default()),
                    Err(reason) => {
                        side.answer_bytes(Ending::Failed, reason.as_bytes(), Timing::default())
                    }
                }
            }
            Err(fault) => {
                side.answer_bytes(Ending::BadRequest, fault.as_bytes(), Timing::default())
            }
        }
    }
}
