//! The worker's command line.

use micro_abi::Mechanism;

pub const USAGE: &str = "usage: micro-worker --channel FD [--core N] [--mechanism escape|unwind]
  [--quantum-ns N]   period of the preemption clock; 0: none        [20000]
  [--spin-us N]      how long to look for a request before sleeping [50]
  [--arena-mib N]    heap of one call                               [64]
  [--stack-kib N]    stack of one call                              [1024]
  [--memory-mib N]   address space beside what start-up took        [4096]";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub channel: i32,
    pub core: Option<usize>,
    pub mechanism: Mechanism,
    pub quantum_ns: u64,
    pub spin_us: u64,
    pub arena: usize,
    pub stack: usize,
    pub memory: usize,
}

impl Options {
    /// Read the command line; the error says what is wrong with it.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            channel: -1,
            core: None,
            mechanism: Mechanism::Escape,
            quantum_ns: 20_000,
            spin_us: 50,
            arena: 64 << 20,
            stack: 1 << 20,
            memory: 4096 << 20,
        };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{} needs a value", name))?;
            if name == "--mechanism" {
                options.mechanism = match value.as_str() {
                    "escape" => Mechanism::Escape,
                    "unwind" => Mechanism::Unwind,
                    _ => return Err(format!("there is no mechanism {:?}", value)),
                };
                continue;
            }
            let number: u64 =
                value.parse().map_err(|_| format!("{} {}: this is no number", name, value))?;
            match name.as_str() {
                "--channel" => options.channel = number.min(i32::MAX as u64) as i32,
                "--core" => options.core = Some(bounded(&name, number, 0, 1023)? as usize),
                "--quantum-ns" => options.quantum_ns = bounded(&name, number, 0, 1_000_000_000)?,
                "--spin-us" => options.spin_us = bounded(&name, number, 0, 1_000_000_000)?,
                "--arena-mib" => options.arena = (bounded(&name, number, 1, 65536)? << 20) as usize,
                "--stack-kib" => {
                    options.stack = (bounded(&name, number, 64, 1 << 20)? << 10) as usize
                }
                "--memory-mib" => {
                    options.memory = (bounded(&name, number, 1, 1 << 20)? << 20) as usize
                }
                _ => return Err(format!("there is no option {}", name)),
            }
        }
        if options.channel < 0 {
            return Err("--channel is missing".to_owned());
        }
        Ok(options)
    }
}

fn bounded(name: &str, number: u64, least: u64, most: u64) -> Result<u64, String> {
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(format!("{} {}: give {} to {}", name, number, least, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read() {
        let options = parse("--channel 3 --core 1 --quantum-ns 5000 --mechanism unwind").unwrap();
        assert_eq!((options.channel, options.core), (3, Some(1)));
        assert_eq!((options.quantum_ns, options.mechanism), (5000, Mechanism::Unwind));
    }

    #[test]
    fn faults_are_named() {
        for (line, fault) in [
            ("", "--channel is missing"),
            ("--channel", "needs a value"),
            ("--channel x", "no number"),
            ("--channel 3 --colour 1", "no option --colour"),
            ("--channel 3 --mechanism hope", "no mechanism"),
            ("--channel 3 --stack-kib 1", "give 64 to"),
        ] {
            assert!(parse(line).unwrap_err().contains(fault), "{}", line);
        }
    }
}
