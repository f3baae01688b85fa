//! The system calls that a worker can still make, and from where.
//!
//! What loading a library, sleeping and the tick need is allowed, and only to code that was there
//! before any function: a system call made by a library's own instructions is always refused.

use std::io;

use crate::trusted::Range;

/// Ends every tick, so it is judged by its number alone: the kernel then remembers the verdict and
/// does not run the program. From a function's own code it would do nothing that a jump to libc's
/// would not.
const FROM_ANYWHERE: libc::c_long = libc::SYS_rt_sigreturn;

/// Everything else ends the function with `ForbiddenCall`, or the worker if it was not one.
pub const ALLOWED: &[libc::c_long] = &[
    libc::SYS_futex,
    libc::SYS_timer_settime,
    // The vDSO makes it when the machine's clock cannot be read in user mode.
    libc::SYS_clock_gettime,
    // dlopen and dlclose.
    libc::SYS_openat,
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_close,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    // The worker's own heap, and giving an arena's pages back.
    libc::SYS_brk,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_rt_sigprocmask,
    libc::SYS_exit_group,
];

const ARCH_X86_64: u32 = 0xc000_003e;
const NUMBER_AT: u32 = 0;
const ARCH_AT: u32 = 4;
const POINTER_LOW_AT: u32 = 8;
const POINTER_HIGH_AT: u32 = 12;
const OPEN_FLAGS_AT: u32 = 16 + 2 * 8;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// The program: refuse another architecture, other code, other calls, and files opened to write.
pub fn program(code: &[Range]) -> Vec<libc::sock_filter> {
    let mut program = vec![load(ARCH_AT), jump(EQUAL, ARCH_X86_64, 1, 0), refuse()];
    program.extend([load(NUMBER_AT), jump(EQUAL, FROM_ANYWHERE as u32, 0, 1), allow()]);
    program.extend(from_code(code));
    program.push(load(NUMBER_AT));
    for &number in ALLOWED {
        if number == libc::SYS_openat {
            let writing = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) as u32;
            program.extend([
                jump(EQUAL, number as u32, 0, 4),
                load(OPEN_FLAGS_AT),
                jump(ANY_BIT, writing, 0, 1),
                refuse(),
                allow(),
            ]);
        } else {
            program.extend([jump(EQUAL, number as u32, 0, 1), allow()]);
        }
    }
    program.push(refuse());
    program
}

/// Go on after these instructions only if the call was made from one of the ranges.
fn from_code(code: &[Range]) -> Vec<libc::sock_filter> {
    let pieces: Vec<Range> = code.iter().flat_map(|range| split(*range)).collect();
    // Each piece takes 5 instructions; a match jumps over the pieces that follow and the refusal.
    let mut found = Vec::new();
    for (place, piece) in pieces.iter().enumerate() {
        let rest = (pieces.len() - place - 1) * 5 + 1;
        found.extend([
            load(POINTER_HIGH_AT),
            jump(EQUAL, (piece.start >> 32) as u32, 0, 3),
            load(POINTER_LOW_AT),
            jump(AT_LEAST, piece.start as u32, 0, 1),
            // The last address, because an end may not fit into 32 bits.
            jump(GREATER, (piece.end - 1) as u32, 0, rest as u8),
        ]);
    }
    found.push(refuse());
    found
}

const GREATER: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;

/// Cut a range where the upper half of its addresses changes.
fn split(range: Range) -> Vec<Range> {
    let mut pieces = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let end = range.end.min(((start >> 32) + 1) << 32);
        pieces.push(Range { start, end });
        start = end;
    }
    pieces
}

fn load(at: u32) -> libc::sock_filter {
    libc::sock_filter { code: LOAD, jt: 0, jf: 0, k: at }
}

fn jump(code: u16, value: u32, then: u8, otherwise: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt: then, jf: otherwise, k: value }
}

fn allow() -> libc::sock_filter {
    libc::sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW }
}

fn refuse() -> libc::sock_filter {
    libc::sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_TRAP }
}

/// Ranges that the filter's jumps, of one byte, reach over; each may be cut in two.
const MOST_RANGES: usize = 24;

/// Install the filter, for good.
pub fn install(code: &[Range]) -> io::Result<()> {
    if code.len() > MOST_RANGES {
        let fault = format!("{} pieces of code are more than a filter takes", code.len());
        return Err(io::Error::new(io::ErrorKind::Other, fault));
    }
    let mut program = program(code);
    let described = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the kernel copies the program during the call.
    unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &described) != 0
        {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run a program on one call, as the kernel would.
    fn judge(program: &[libc::sock_filter], number: libc::c_long, from: usize, flags: u32) -> u32 {
        let words = [
            (NUMBER_AT, number as u32),
            (ARCH_AT, ARCH_X86_64),
            (POINTER_LOW_AT, from as u32),
            (POINTER_HIGH_AT, (from >> 32) as u32),
            (OPEN_FLAGS_AT, flags),
        ];
        let (mut at, mut held) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            let taken = match step.code {
                LOAD => {
                    held = words.iter().find(|word| word.0 == step.k).unwrap().1;
                    continue;
                }
                RETURN => return step.k,
                EQUAL => held == step.k,
                AT_LEAST => held >= step.k,
                GREATER => held > step.k,
                ANY_BIT => held & step.k != 0,
                _ => panic!("no such instruction"),
            };
            at += usize::from(if taken { step.jt } else { step.jf });
        }
    }

    const CODE: [Range; 3] = [
        Range { start: 0x5555_0000_0000, end: 0x5555_0001_0000 },
        Range { start: 0x7fff_ffff_f000, end: 0x8000_0000_1000 },
        Range { start: 0x7f12_0000_1000, end: 0x7f12_0000_2000 },
    ];

    #[test]
    fn only_the_list_is_allowed() {
        let program = program(&CODE);
        for number in 0..500 {
            let wanted = if number == FROM_ANYWHERE || ALLOWED.contains(&number) {
                libc::SECCOMP_RET_ALLOW
            } else {
                libc::SECCOMP_RET_TRAP
            };
            assert_eq!(judge(&program, number, CODE[0].start, 0), wanted, "call {}", number);
        }
    }

    #[test]
    fn jumps_reach_over_as_many_ranges_as_are_taken() {
        let code: Vec<Range> = (1..=MOST_RANGES)
            .map(|n| Range { start: (n << 33) - 4096, end: (n << 33) + 4096 })
            .collect();
        let program = program(&code);
        for range in &code {
            for from in [range.start, range.end - 1] {
                let verdict = judge(&program, libc::SYS_futex, from, 0);
                assert_eq!(verdict, libc::SECCOMP_RET_ALLOW);
            }
            let verdict = judge(&program, libc::SYS_futex, range.end, 0);
            assert_eq!(verdict, libc::SECCOMP_RET_TRAP);
        }
    }

    #[test]
    fn only_trusted_code_may_call() {
        let program = program(&CODE);
        for range in CODE {
            for (from, right) in [
                (range.start, true),
                (range.end - 1, true),
                (range.start - 1, false),
                (range.end, false),
                (range.start ^ (1 << 40), false),
            ] {
                let verdict = judge(&program, libc::SYS_futex, from, 0);
                assert_eq!(verdict == libc::SECCOMP_RET_ALLOW, right, "from {:x}", from);
            }
        }
    }

    #[test]
    fn the_end_of_a_tick_is_judged_by_its_number_alone() {
        let program = program(&CODE);
        let looks = program.iter().position(|step| step.code == LOAD && step.k == POINTER_HIGH_AT);
        let ends = program.iter().position(|step| step.k == FROM_ANYWHERE as u32);
        assert!(ends.unwrap() < looks.unwrap());
        let verdict = judge(&program, FROM_ANYWHERE, 0x1000, 0);
        assert_eq!(verdict, libc::SECCOMP_RET_ALLOW);
    }

    #[test]
    fn files_open_to_read_only() {
        let program = program(&CODE);
        let from = CODE[0].start;
        let read = (libc::O_RDONLY | libc::O_CLOEXEC) as u32;
        assert_eq!(judge(&program, libc::SYS_openat, from, read), libc::SECCOMP_RET_ALLOW);
        for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC] {
            let verdict = judge(&program, libc::SYS_openat, from, flags as u32);
            assert_eq!(verdict, libc::SECCOMP_RET_TRAP);
        }
    }
}
