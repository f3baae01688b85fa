//! Resident functions: latency of one request at a time, and throughput of many.

use std::thread::sleep;
use std::time::Duration;

use micro_channel::now_ns;

use crate::options::Options;
use crate::output::Object;
use crate::peer::{expect_result, Peer};

pub fn worker_latency(options: &Options) -> Result<Object, String> {
    let mut peer = Peer::worker(options)?;
    let functions = options.functions.len().max(1);
    let mut latencies = Vec::with_capacity(options.requests);
    let mut runs = Vec::with_capacity(options.requests);
    for number in 0..options.warm_up.max(functions) + options.requests {
        pause(options);
        let function = (number % functions) as u32;
        let (completion, latency) = peer.call(function, &options.input, 0, options.budget_ns())?;
        expect_result(&completion)?;
        if number >= options.warm_up.max(functions) {
            latencies.push(latency);
            runs.push(completion.run_ns);
        }
    }
    Ok(Object::default().samples("latency_ns", &latencies).samples("run_ns", &runs))
}

pub fn worker_throughput(options: &Options) -> Result<Object, String> {
    let mut peer = Peer::worker(options)?;
    peer.send(0, &options.input, 0, 0);
    let ticks = peer.dispatcher.ticks();
    // A worker that the clock leaves no time gives none: then few answers, or none, are the result.
    if let Some(warm) = peer.receive_until(now_ns() + 1_000_000_000) {
        expect_result(&warm)?;
    }
    let start = now_ns();
    let end = start + options.milliseconds * 1_000_000;
    let mut answered = 0_u64;
    let mut now = start;
    while now < end {
        while (peer.dispatcher.under_way() as usize) < options.outstanding {
            peer.send(0, &options.input, 0, options.budget_ns());
        }
        let completion = match peer.receive_until(end) {
            Some(completion) => completion,
            None if peer.alive() => break,
            None => return Err(peer.death()),
        };
        expect_result(&completion)?;
        answered += 1;
        if answered % 16 == 0 {
            now = now_ns();
        }
    }
    Ok(Object::default()
        .number("answered", answered)
        .number("elapsed_ns", now_ns() - start)
        .number("ticks", peer.dispatcher.ticks() - ticks))
}

fn processes(options: &Options) -> Result<Vec<Peer>, String> {
    options.functions.iter().map(|program| Peer::process(options, program)).collect()
}

pub fn process_latency(options: &Options) -> Result<Object, String> {
    let mut peers = processes(options)?;
    let count = peers.len();
    let mut latencies = Vec::with_capacity(options.requests);
    for number in 0..options.warm_up.max(count) + options.requests {
        let peer = peers.get_mut(number % count).ok_or("--functions names none")?;
        // It is resident and asleep, as a process between two requests is.
        while !peer.dispatcher.worker_sleeps() {
            std::hint::spin_loop();
        }
        pause(options);
        let (completion, latency) = peer.call(0, &options.input, 0, 0)?;
        expect_result(&completion)?;
        if number >= options.warm_up.max(count) {
            latencies.push(latency);
        }
    }
    Ok(Object::default().samples("latency_ns", &latencies))
}

pub fn process_throughput(options: &Options) -> Result<Object, String> {
    let mut peers = processes(options)?;
    for peer in &mut peers {
        let (warm, _) = peer.call(0, &options.input, 0, 0)?;
        expect_result(&warm)?;
    }
    let start = now_ns();
    let end = start + options.milliseconds * 1_000_000;
    let mut answered = 0_u64;
    while now_ns() < end {
        for peer in &mut peers {
            if let Some(completion) = peer.dispatcher.poll() {
                expect_result(&completion)?;
                answered += 1;
            }
            // A process that is kept awake would be served like a worker; each is to be woken.
            if peer.dispatcher.under_way() == 0 && peer.dispatcher.worker_sleeps() {
                peer.send(0, &options.input, 0, 0);
            }
        }
    }
    Ok(Object::default().number("answered", answered).number("elapsed_ns", now_ns() - start))
}

fn pause(options: &Options) {
    if options.pause_us > 0 {
        sleep(Duration::from_micros(options.pause_us));
    }
}
