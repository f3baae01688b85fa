//! The preemption clock: SIGALRM at a fixed period, while there is something to preempt.

use std::io;
use std::mem;

pub struct Tick {
    timer: libc::timer_t,
    quantum_ns: u64,
}

impl Tick {
    /// Make the clock, stopped. A quantum of 0 never ticks.
    pub fn new(quantum_ns: u64) -> io::Result<Tick> {
        let mut timer: libc::timer_t = std::ptr::null_mut();
        // SAFETY: all-zero is a value of `sigevent`, and both places are ours.
        let status = unsafe {
            let mut event: libc::sigevent = mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = libc::SIGALRM;
            event.sigev_notify_thread_id = libc::gettid();
            libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer)
        };
        if status != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Tick { timer, quantum_ns })
    }

    pub fn start(&self) {
        self.set(self.quantum_ns);
    }

    pub fn stop(&self) {
        self.set(0);
    }

    fn set(&self, period_ns: u64) {
        if self.quantum_ns == 0 {
            return;
        }
        let period = libc::timespec {
            tv_sec: (period_ns / 1_000_000_000) as libc::time_t,
            tv_nsec: (period_ns % 1_000_000_000) as i64,
        };
        let setting = libc::itimerspec { it_interval: period, it_value: period };
        // SAFETY: the timer is ours, and the setting valid: a period is below a second or 0.
        unsafe { libc::timer_settime(self.timer, 0, &setting, std::ptr::null_mut()) };
    }
}
