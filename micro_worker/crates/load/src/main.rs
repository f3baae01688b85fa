//! The load generator: measures workers and processes without Python in the way.
//!
//! Each subcommand is one measurement; the samples go to stdout as one JSON object. What they mean
//! is for experiments/micro_latency.py and experiments/micro_preemption.py to say.

#![deny(unsafe_op_in_unsafe_fn)]

mod bare;
mod cold;
mod memory;
mod options;
mod output;
mod peer;
mod preempted;
mod warm;

use std::process::exit;

use options::Options;
use output::Object;

const USAGE: &str = "usage: micro-load MEASUREMENT [--option value ...]
  warm             one request at a time to a resident function
  throughput       many requests under way to a resident function
  cold             load, call and unload a library that is not resident
  process-warm     one request at a time to resident processes, in turn
  process-throughput  a request under way to each resident process
  process-cold     fork and exec for each request
  memory           load many libraries into one worker
  process-memory   start many resident processes
  preempted        a function over its budget, then a request of another
  survival         how many workers survive functions that are stopped
  bare             the same function in a bare loop under the same clock
  jitter           when ticks come";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let measurement = arguments.next().unwrap_or_default();
    let result = Options::parse(arguments).and_then(|options| measure(&measurement, &options));
    match result {
        Ok(object) => println!("{}", object.text()),
        Err(fault) => {
            eprintln!("micro-load {}: {}", measurement, fault);
            exit(1);
        }
    }
}

fn measure(measurement: &str, options: &Options) -> Result<Object, String> {
    peer::pin(options.load_core)?;
    match measurement {
        "warm" => warm::worker_latency(options),
        "throughput" => warm::worker_throughput(options),
        "cold" => cold::worker(options),
        "process-warm" => warm::process_latency(options),
        "process-throughput" => warm::process_throughput(options),
        "process-cold" => cold::process(options),
        "memory" => memory::worker(options),
        "process-memory" => memory::processes(options),
        "preempted" => preempted::next_request(options),
        "survival" => preempted::survival(options),
        "bare" => bare::throughput(options),
        "jitter" => bare::jitter(options),
        _ => Err(format!("there is no such measurement\n{}", USAGE)),
    }
}
