//! The processes at the other end: a worker, or a resident process of one function.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use micro_channel::{now_ns, Completion, Dispatcher, Kind, Memory, Sizes};

use crate::options::Options;

const PATIENCE: Duration = Duration::from_secs(20);

/// A process that serves a channel, and the channel. Ends with this value.
pub struct Peer {
    pub dispatcher: Dispatcher,
    descriptor: i32,
    name: String,
    child: Child,
}

impl Peer {
    /// Start a worker with the functions of the options, and wait until it serves.
    pub fn worker(options: &Options) -> Result<Peer, String> {
        let mut peer = Peer::start(
            vec![
                options.worker.clone(),
                format!("--core {}", options.worker_core),
                format!("--quantum-ns {}", options.quantum_ns),
                format!("--spin-us {}", options.spin_us),
                format!("--mechanism {}", options.mechanism),
            ],
            options.worker_core,
            Sizes { slots: 64, buffer: 64 << 10, functions: 8192 },
        )?;
        for path in &options.functions {
            peer.dispatcher.register("function", path);
        }
        Ok(peer)
    }

    /// Start a function as a resident process.
    pub fn process(options: &Options, program: &str) -> Result<Peer, String> {
        let sizes = Sizes { slots: 1, buffer: 64 << 10, functions: 1 };
        Peer::start(vec![program.to_owned()], options.worker_core, sizes)
    }

    fn start(command: Vec<String>, core: usize, sizes: Sizes) -> Result<Peer, String> {
        let (memory, descriptor) = Memory::create(sizes).map_err(|error| error.to_string())?;
        let child = spawn(&command, descriptor, core)?;
        let mut peer = Peer {
            dispatcher: Dispatcher::new(memory),
            descriptor,
            name: command[0].clone(),
            child,
        };
        peer.wait_until_serving()?;
        Ok(peer)
    }

    fn wait_until_serving(&mut self) -> Result<(), String> {
        let start = Instant::now();
        while !self.dispatcher.serving() {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{}: ended at its start: {}", self.name, status));
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("{}: does not serve", self.name));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Whether the process is there.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Send a call; the channel must have room.
    #[inline]
    pub fn send(&mut self, function: u32, input: &[u8], flags: u32, budget_ns: u64) {
        let sent = self.dispatcher.send(Kind::Call, function, input, flags, budget_ns);
        assert!(sent.is_ok(), "the load generator keeps within the channel's slots");
    }

    /// Look for the next answer until it is there, without sleeping. None if the process ended or
    /// `PATIENCE` is over.
    #[inline]
    pub fn receive(&mut self) -> Option<Completion> {
        self.receive_until(now_ns() + PATIENCE.as_nanos() as u64)
    }

    /// The same, up to a time of the monotonic clock.
    #[inline]
    pub fn receive_until(&mut self, end_ns: u64) -> Option<Completion> {
        let mut looks = 0_u32;
        loop {
            if let Some(completion) = self.dispatcher.poll() {
                return Some(completion);
            }
            std::hint::spin_loop();
            looks = looks.wrapping_add(1);
            if looks % (1 << 12) == 0 && (now_ns() > end_ns || !self.alive()) {
                return self.dispatcher.poll();
            }
        }
    }

    /// Call and wait; returns the answer and the nanoseconds from before to after.
    #[inline]
    pub fn call(
        &mut self,
        function: u32,
        input: &[u8],
        flags: u32,
        budget_ns: u64,
    ) -> Result<(Completion, u64), String> {
        let start = now_ns();
        self.send(function, input, flags, budget_ns);
        let completion = self.receive().ok_or_else(|| self.death())?;
        Ok((completion, now_ns() - start))
    }

    /// What to say of a process that gave no answer.
    pub fn death(&mut self) -> String {
        if self.alive() {
            return format!("{} gives no answer", self.name);
        }
        let status = self.child.wait().map_or("?".to_owned(), |status| status.to_string());
        format!("{} ended: {}; {}", self.name, status, self.dispatcher.last_words())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // SAFETY: the descriptor is ours, and closed once.
        unsafe { libc::close(self.descriptor) };
    }
}

fn spawn(command: &[String], descriptor: i32, core: usize) -> Result<Child, String> {
    let mut made = Command::new(&command[0]);
    made.args(command[1..].iter().flat_map(|each| each.split(' ')));
    made.args(["--channel", &descriptor.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
    // SAFETY: between fork and exec only system calls are made.
    unsafe {
        made.pre_exec(move || {
            libc::fcntl(descriptor, libc::F_SETFD, 0);
            pin(core).map_err(|_| std::io::Error::last_os_error())
        });
    }
    made.spawn().map_err(|error| format!("{}: {}", command[0], error))
}

/// Run this process on one core.
pub fn pin(core: usize) -> Result<(), String> {
    // SAFETY: all-zero is an empty set; the set is read during the call.
    let status = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, std::mem::size_of_val(&set), &set)
    };
    match status {
        0 => Ok(()),
        _ => Err(format!("there is no core {} to run on", core)),
    }
}

/// Accept a result, refuse any other ending.
pub fn expect_result(completion: &Completion) -> Result<(), String> {
    match completion.ending {
        0 => Ok(()),
        ending => Err(format!("request {} ended with {}", completion.number, ending)),
    }
}
