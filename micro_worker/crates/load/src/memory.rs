//! What many resident functions take of memory.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::options::Options;
use crate::output::Object;
use crate::peer::{expect_result, Peer};

/// All functions in one worker, each called once.
pub fn worker(options: &Options) -> Result<Object, String> {
    let mut peer = Peer::worker(&Options { functions: Vec::new(), ..options.clone() })?;
    let (free, alone) = (available()?, proportional(peer.pid())?);
    for path in &options.functions {
        let number = peer.dispatcher.register("function", path);
        let (completion, _) = peer.call(number, &options.input, 0, options.budget_ns())?;
        expect_result(&completion)?;
    }
    settle();
    Ok(Object::default()
        .number("functions", options.functions.len() as u64)
        .number("available_bytes", free.saturating_sub(available()?))
        .number("proportional_bytes", proportional(peer.pid())? - alone)
        .number("worker_bytes", alone))
}

/// A process for each function, each called once.
pub fn processes(options: &Options) -> Result<Object, String> {
    let free = available()?;
    let mut peers = Vec::with_capacity(options.functions.len());
    for program in &options.functions {
        let mut peer = Peer::process(options, program)?;
        let (completion, _) = peer.call(0, &options.input, 0, 0)?;
        expect_result(&completion)?;
        peers.push(peer);
    }
    settle();
    let left = available()?;
    let mut total = 0;
    for peer in &peers {
        total += proportional(peer.pid())?;
    }
    Ok(Object::default()
        .number("functions", peers.len() as u64)
        .number("available_bytes", free.saturating_sub(left))
        .number("proportional_bytes", total))
}

fn settle() {
    sleep(Duration::from_millis(500));
}

/// Bytes that the kernel says could be had without swapping.
fn available() -> Result<u64, String> {
    kilobytes("/proc/meminfo", "MemAvailable:")
}

/// A process's memory, with its share of what others map as well.
fn proportional(pid: u32) -> Result<u64, String> {
    kilobytes(&format!("/proc/{}/smaps_rollup", pid), "Pss:")
}

/// A process's resident memory.
pub fn resident(pid: u32) -> Result<u64, String> {
    kilobytes(&format!("/proc/{}/status", pid), "VmRSS:")
}

fn kilobytes(file: &str, name: &str) -> Result<u64, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {}", file, error))?;
    let line = text.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    number.map(|number| number * 1024).ok_or_else(|| format!("{} has no {}", file, name))
}
