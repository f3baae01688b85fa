//! The options of all measurements; each reads those that it needs.

use std::collections::BTreeMap;
use std::fs;

/// What to measure, and how much of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program micro-worker.
    pub worker: String,
    /// The libraries or programs, one a line of the file that --functions names.
    pub functions: Vec<String>,
    /// The arguments of every request.
    pub input: Vec<u8>,
    pub requests: usize,
    pub warm_up: usize,
    /// Requests under way at the same time.
    pub outstanding: usize,
    /// Requests after which `survival` replaces a worker that is still there.
    pub batch: usize,
    /// How long to measure, where the number of requests is the result.
    pub milliseconds: u64,
    /// How long to rest before each request.
    pub pause_us: u64,
    pub budget_us: u64,
    pub load_core: usize,
    pub worker_core: usize,
    pub quantum_ns: u64,
    pub spin_us: u64,
    pub mechanism: String,
}

impl Options {
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut given = BTreeMap::new();
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{} needs a value", name))?;
            given.insert(name, value);
        }
        let mut number = |name: &str, usual: u64| match given.remove(name) {
            None => Ok(usual),
            Some(text) => text.parse().map_err(|_| format!("{} {}: this is no number", name, text)),
        };
        let mut options = Options {
            worker: String::new(),
            functions: Vec::new(),
            input: b"{}".to_vec(),
            requests: number("--requests", 1000)? as usize,
            warm_up: number("--warm-up", 100)? as usize,
            outstanding: number("--outstanding", 32)?.clamp(1, 64) as usize,
            batch: number("--batch", 500)?.max(1) as usize,
            milliseconds: number("--milliseconds", 1000)?,
            pause_us: number("--pause-us", 0)?,
            budget_us: number("--budget-us", 0)?,
            load_core: number("--load-core", 0)? as usize,
            worker_core: number("--worker-core", 1)? as usize,
            quantum_ns: number("--quantum-ns", 20_000)?,
            spin_us: number("--spin-us", 1_000_000)?,
            mechanism: given.remove("--mechanism").unwrap_or_else(|| "escape".to_owned()),
        };
        if let Some(worker) = given.remove("--worker") {
            options.worker = worker;
        }
        if let Some(file) = given.remove("--functions") {
            let text = fs::read_to_string(&file).map_err(|error| format!("{}: {}", file, error))?;
            options.functions = text.lines().map(str::to_owned).collect();
        }
        if let Some(file) = given.remove("--input") {
            options.input = fs::read(&file).map_err(|error| format!("{}: {}", file, error))?;
        }
        match given.keys().next() {
            None => Ok(options),
            Some(name) => Err(format!("there is no option {}", name)),
        }
    }

    /// The only or first of the functions.
    pub fn function(&self) -> Result<&str, String> {
        self.functions
            .first()
            .map(String::as_str)
            .ok_or_else(|| "--functions names none".to_owned())
    }

    pub fn budget_ns(&self) -> u64 {
        self.budget_us * 1000
    }
}
