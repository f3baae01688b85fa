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
/// the worker is looked at all along. Ends after `milliseconds` whatever was done.
pub fn next_request(options: &Options) -> Result<Object, String> {
    if options.functions.len() != 2 {
        return Err("--functions must name two: one that goes over its budget, one that not".into());
    }
    let mut peer = Peer::worker(options)?;
    let (mut waits, mut runs) = (Vec::new(), Vec::new());
    let mut memory = Vec::new();
    let look = (options.requests / LOOKS).max(1);
    let end = now_ns() + options.milliseconds * 1_000_000;
    for number in 0..options.warm_up + options.requests {
        let start = now_ns();
        if start > end {
            break;
        }
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

/// Stop the only function again and again, `batch` times in each of so many workers that it is
/// stopped `requests` times in all if none dies. A worker that ends or hangs has its batch cut.
pub fn survival(options: &Options) -> Result<Object, String> {
    let workers = (options.requests + options.batch - 1) / options.batch;
    let mut counts = Counts::default();
    for _ in 0..workers {
        let mut peer = Peer::worker(options)?;
        one_worker(&mut peer, options, &mut counts)?;
    }
    Ok(Object::default()
        .number("workers", workers as u64)
        .number("stopped", counts.stopped)
        .number("other_endings", counts.other)
        .number("died", counts.died)
        .number("hung", counts.hung)
        .samples("growth_bytes", &counts.growth))
}

#[derive(Default)]
struct Counts {
    stopped: u64,
    other: u64,
    died: u64,
    hung: u64,
    growth: Vec<u64>,
}

fn one_worker(peer: &mut Peer, options: &Options, counts: &mut Counts) -> Result<(), String> {
    /// What a request may take beyond its budget before its worker counts as hung.
    const PATIENCE_NS: u64 = 500_000_000;
    let mut before = 0;
    for number in 0..options.batch {
        if number == options.batch / 10 {
            before = resident(peer.pid())?;
        }
        peer.send(0, &options.input, 0, options.budget_ns());
        match peer.receive_until(now_ns() + options.budget_ns() + PATIENCE_NS) {
            Some(answer) if answer.is(Ending::OverBudget) => counts.stopped += 1,
            Some(_) => counts.other += 1,
            None => {
                if peer.alive() {
                    counts.hung += 1;
                } else {
                    counts.died += 1;
                }
                return Ok(());
            }
        }
    }
    counts.growth.push(resident(peer.pid())?.saturating_sub(before));
    Ok(())
}
