//! Sleeping until the other side has published, without losing a wake-up.

use std::sync::atomic::{fence, AtomicU32, Ordering};
use std::time::Duration;

/// Sleep on `word` unless `ready`; at most `limit`. Spurious returns are possible.
pub fn sleep(word: &AtomicU32, ready: impl Fn() -> bool, limit: Option<Duration>) {
    word.store(1, Ordering::Relaxed);
    // The other side publishes, fences, and looks at the word; we write the word, fence, and look
    // at what is published. One of us sees the other.
    fence(Ordering::SeqCst);
    if !ready() {
        let time = limit.map(|limit| libc::timespec {
            tv_sec: limit.as_secs() as libc::time_t,
            tv_nsec: limit.subsec_nanos().into(),
        });
        let time = time.as_ref().map_or(std::ptr::null(), |time| time as *const libc::timespec);
        // SAFETY: the word and the time stay valid during the call.
        unsafe {
            libc::syscall(libc::SYS_futex, word as *const AtomicU32, libc::FUTEX_WAIT, 1, time)
        };
    }
    word.store(0, Ordering::Relaxed);
}

/// Wake the side that sleeps on `word`, if it does. Call after publishing.
pub fn wake(word: &AtomicU32) {
    fence(Ordering::SeqCst);
    if word.load(Ordering::Relaxed) == 1 {
        word.store(0, Ordering::Relaxed);
        // SAFETY: the word is valid; waking nobody is harmless.
        unsafe { libc::syscall(libc::SYS_futex, word as *const AtomicU32, libc::FUTEX_WAKE, 1) };
    }
}
