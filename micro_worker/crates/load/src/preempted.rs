//! Functions over their budget: what the next request waits, what they leave behind, who survives.

use micro_abi::Ending;
use micro_channel::now_ns;

use crate::memory::resident;
use crate::options::Options;
use crate::output::Object;
use crate::peer::Peer;

/// Looks at the worker's memory during the run.
const LOOKS: usize = 100;

/// The first function runs over its budget; the second is asked for while it runs. The memory of
/// the worker is looked at all along.
pub fn next_request(options: &Options) -> Result<Object, String> {
    if options.functions.len() != 2 {
        return Err("--functions must name two: one that goes over its budget, one that not".into());
    }
    let mut peer = Peer::worker(options)?;
    let (mut waits, mut runs) = (Vec::new(), Vec::new());
    let mut memory = Vec::new();
    let look = (options.requests / LOOKS).max(1);
    for number in 0..options.warm_up + options.requests {
        let start = now_ns();
        peer.send(0, &options.input, 0, options.budget_ns());
        peer.send(1, &options.input, 0, 0);
        let stopped = peer.receive().ok_or("the worker ended")?;
        if !stopped.is(Ending::OverBudget) {
            return Err(format!("the first function ended with {}", stopped.ending));
        }
        let next = peer.receive().ok_or("the worker ended")?;
        let wait = now_ns() - start;
        crate::peer::expect_result(&next)?;
        if number >= options.warm_up {
            waits.push(wait);
            runs.push(stopped.run_ns);
            if (number - options.warm_up) % look == 0 {
                memory.push(resident(peer.pid())?);
            }
        }
    }
    memory.push(resident(peer.pid())?);
    Ok(Object::default()
        .samples("wait_ns", &waits)
        .samples("stopped_after_ns", &runs)
        .samples("resident_bytes", &memory))
}

/// Stop the only function again and again; a worker that ends or hangs is replaced and counted.
/// Each worker has as many requests as `outstanding` says before it is replaced anyway.
pub fn survival(options: &Options) -> Result<Object, String> {
    let batch = options.outstanding.max(1) * 16;
    let mut stopped = 0;
    let (mut died, mut hung, mut finished) = (0, 0, 0);
    let mut memory = Vec::new();
    let batches = (options.requests + batch - 1) / batch;
    for _ in 0..batches {
        let mut peer = Peer::worker(options)?;
        let mut before = 0;
        for number in 0..batch {
            let start = now_ns();
            peer.send(0, &options.input, 0, options.budget_ns());
            let answer = loop {
                if let Some(answer) = peer.dispatcher.poll() {
                    break Some(answer);
                }
                std::hint::spin_loop();
                if now_ns() - start > 1_000_000_000 {
                    break None;
                }
            };
            match answer {
                Some(answer) if answer.is(Ending::OverBudget) => stopped += 1,
                Some(_) => finished += 1,
                None if peer.alive() => hung += 1,
                None => died += 1,
            }
            if answer.is_none() {
                before = 0;
                break;
            }
            if number == batch / 16 {
                before = resident(peer.pid())?;
            }
        }
        if before > 0 {
            memory.push(resident(peer.pid())?.saturating_sub(before));
        }
    }
    Ok(Object::default()
        .number("workers", batches as u64)
        .number("requests_each", batch as u64)
        .number("stopped", stopped)
        .number("finished", finished)
        .number("died", died)
        .number("hung", hung)
        .samples("growth_bytes", &memory))
}
