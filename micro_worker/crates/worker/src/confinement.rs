//! What the worker gives up before it runs anything of others: descriptors, limits, capabilities,
//! system calls.

use std::fs;
use std::io;

use crate::options::Options;
use crate::seccomp;
use crate::trusted::Trusted;

/// Confine this process, for good. Call when everything is set up and no library is loaded.
pub fn confine(options: &Options) -> io::Result<()> {
    let mut code = Trusted::read()?.code;
    // libc's first, where nearly all calls come from: the filter looks at one range after another.
    let libc = libc::sigaction as usize;
    code.sort_by_key(|range| !(range.start..range.end).contains(&libc));
    let limit = address_space()? + options.memory as u64;
    close_descriptors()?;
    for (resource, most) in [
        (libc::RLIMIT_AS, limit),
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_FSIZE, 0),
        // dlopen needs one, and 0 to 2 are taken.
        (libc::RLIMIT_NOFILE, 8),
        (libc::RLIMIT_NPROC, 0),
    ] {
        let bound = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: a valid limit, read during the call.
        check(unsafe { libc::setrlimit(resource, &bound) })?;
    }
    drop_capabilities()?;
    seccomp::install(&code)
}

/// Give up all capabilities; the filter's `no_new_privs` keeps them from coming back.
fn drop_capabilities() -> io::Result<()> {
    // linux/capability.h: version and pid of a header; effective, permitted, inheritable, twice.
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let none = [0_u32; 6];
    // SAFETY: the kernel reads two and six words.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) } as i32)
}

/// Bytes of address space in use.
fn address_space() -> io::Result<u64> {
    let pages = fs::read_to_string("/proc/self/statm")?;
    let pages = pages.split_whitespace().next().and_then(|text| text.parse::<u64>().ok());
    let pages = pages.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "statm"))?;
    Ok(pages * 4096)
}

/// Leave /dev/null in the three places that libraries expect to be open, and nothing else.
fn close_descriptors() -> io::Result<()> {
    // SAFETY: plain system calls; the channel stays mapped, and Rust holds no open file here.
    unsafe {
        let null = libc::open(b"/dev/null\0".as_ptr().cast(), libc::O_RDWR);
        check(null)?;
        for place in 0..3 {
            check(libc::dup2(null, place))?;
        }
        check(libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) as i32)
    }
}

/// Have this process end with its dispatcher, and run on one core.
pub fn attach(core: Option<usize>) -> io::Result<()> {
    // SAFETY: plain system calls; all-zero is an empty set of cores.
    unsafe {
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))?;
        if let Some(core) = core {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(core, &mut set);
            check(libc::sched_setaffinity(0, std::mem::size_of_val(&set), &set))?;
        }
    }
    Ok(())
}

fn check(status: i32) -> io::Result<()> {
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
