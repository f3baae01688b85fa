//! Functions that are not resident: a library loaded for the call, or a process made for it.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use micro_channel::{now_ns, FORGET};

use crate::options::Options;
use crate::output::Object;
use crate::peer::{expect_result, pin, Peer};

/// dlopen, dlsym, call, dlclose: each request another library than the last.
pub fn worker(options: &Options) -> Result<Object, String> {
    options.function()?;
    let mut peer = Peer::worker(options)?;
    let functions = options.functions.len();
    let mut latencies = Vec::with_capacity(options.requests);
    let mut loads = Vec::with_capacity(options.requests);
    for number in 0..options.warm_up + options.requests {
        let function = (number % functions) as u32;
        let (completion, latency) =
            peer.call(function, &options.input, FORGET, options.budget_ns())?;
        expect_result(&completion)?;
        if number >= options.warm_up {
            latencies.push(latency);
            loads.push(completion.load_ns);
        }
    }
    Ok(Object::default().samples("latency_ns", &latencies).samples("load_ns", &loads))
}

/// fork and exec for each request: arguments through a pipe, the result through another. The time
/// ends with the whole result; the process's end is waited for outside of it.
pub fn process(options: &Options) -> Result<Object, String> {
    options.function()?;
    let functions = options.functions.len();
    let mut latencies = Vec::with_capacity(options.requests);
    let core = options.worker_core;
    for number in 0..options.warm_up + options.requests {
        let program = &options.functions[number % functions];
        let fault = |error: std::io::Error| format!("{}: {}", program, error);
        let start = now_ns();
        let mut command = Command::new(program);
        command.arg("--once").stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: between fork and exec only a system call is made.
        unsafe { command.pre_exec(move || pin(core).map_err(|_| std::io::Error::last_os_error())) };
        let mut child = command.spawn().map_err(fault)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        input.ok_or("no pipe")?.write_all(&options.input).map_err(fault)?;
        let mut result = Vec::new();
        output.ok_or("no pipe")?.read_to_end(&mut result).map_err(fault)?;
        let latency = now_ns() - start;
        let status = child.wait().map_err(fault)?;
        if !status.success() || result.is_empty() {
            return Err(format!("{}: {}", program, status));
        }
        if number >= options.warm_up {
            latencies.push(latency);
        }
    }
    Ok(Object::default().samples("latency_ns", &latencies))
}
