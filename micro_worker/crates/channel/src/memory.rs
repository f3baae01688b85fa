//! The mapped memory of a channel, and access to it by offset.

use std::io;
use std::os::unix::io::RawFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::layout::*;

/// A mapped channel. Every access is checked against its size.
pub struct Memory {
    start: *mut u8,
    size: usize,
    sizes: Sizes,
}

impl Memory {
    /// Make a channel in a new memfd, whose size is sealed, and map it.
    pub fn create(sizes: Sizes) -> io::Result<(Memory, RawFd)> {
        if !sizes.sound() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no channel has such sizes"));
        }
        // SAFETY: plain system calls on a descriptor that is ours.
        let fd = unsafe {
            let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
            let fd = libc::memfd_create(b"micro-channel\0".as_ptr().cast(), flags);
            if fd < 0
                || libc::ftruncate(fd, sizes.total() as libc::off_t) != 0
                || libc::fcntl(fd, libc::F_ADD_SEALS, libc::F_SEAL_SHRINK | libc::F_SEAL_GROW) != 0
            {
                return Err(io::Error::last_os_error());
            }
            fd
        };
        let memory = Memory::map(fd, sizes)?;
        memory.u32_at(VERSION_AT).store(VERSION, Ordering::Relaxed);
        memory.u32_at(SLOTS_AT).store(sizes.slots, Ordering::Relaxed);
        memory.u32_at(BUFFER_AT).store(sizes.buffer, Ordering::Relaxed);
        memory.u32_at(FUNCTIONS_AT).store(sizes.functions, Ordering::Relaxed);
        memory.u64_at(MAGIC_AT).store(MAGIC, Ordering::Release);
        Ok((memory, fd))
    }

    /// Map the channel that a dispatcher has made in `fd`, as its worker: what only the dispatcher
    /// writes can only be read, as far as it has pages of its own.
    pub fn open(fd: RawFd) -> io::Result<Memory> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        // SAFETY: `stat` is a place of the right kind, and all-zero is a value of it.
        let held = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            if libc::fstat(fd, &mut stat) != 0 {
                return Err(io::Error::last_os_error());
            }
            stat.st_size as usize
        };
        if held < HEADER_BYTES {
            return Err(wrong("too small for a channel"));
        }
        let header = Memory::map_bytes(fd, HEADER_BYTES, Sizes::default())?;
        if header.u64_at(MAGIC_AT).load(Ordering::Acquire) != MAGIC {
            return Err(wrong("no channel: it does not start with its magic number"));
        }
        if header.u32_at(VERSION_AT).load(Ordering::Relaxed) != VERSION {
            return Err(wrong("a channel of another version: build the worker anew"));
        }
        let sizes = Sizes {
            slots: header.u32_at(SLOTS_AT).load(Ordering::Relaxed),
            buffer: header.u32_at(BUFFER_AT).load(Ordering::Relaxed),
            functions: header.u32_at(FUNCTIONS_AT).load(Ordering::Relaxed),
        };
        if !sizes.sound() || sizes.total() > held {
            return Err(wrong("a channel whose sizes contradict each other"));
        }
        let memory = Memory::map(fd, sizes)?;
        memory.protect(sizes.requests(), sizes.responses())?;
        memory.protect(sizes.table(), sizes.outputs())?;
        Ok(memory)
    }

    /// Have the whole pages of this part, which starts with one, be readable only.
    fn protect(&self, start: usize, end: usize) -> io::Result<()> {
        let size = (end & !(PAGE - 1)).saturating_sub(start);
        // SAFETY: inside of the mapping, and nothing here writes there from now on.
        let status =
            unsafe { libc::mprotect(self.place(start, size, PAGE).cast(), size, libc::PROT_READ) };
        match status {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn map(fd: RawFd, sizes: Sizes) -> io::Result<Memory> {
        Memory::map_bytes(fd, sizes.total(), sizes)
    }

    fn map_bytes(fd: RawFd, size: usize, sizes: Sizes) -> io::Result<Memory> {
        // SAFETY: a new mapping at a place of the kernel's choice touches nothing that is there.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Memory { start: start.cast(), size, sizes })
    }

    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    pub(crate) fn u32_at(&self, at: usize) -> &AtomicU32 {
        // SAFETY: `place` checks bounds and alignment; memory that two processes share is only
        // ever seen as atomic words or copied.
        unsafe { &*self.place(at, 4, 4).cast::<AtomicU32>() }
    }

    pub(crate) fn u64_at(&self, at: usize) -> &AtomicU64 {
        // SAFETY: as above.
        unsafe { &*self.place(at, 8, 8).cast::<AtomicU64>() }
    }

    /// Copy bytes in. The ring's order keeps the other side from reading them meanwhile.
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) {
        // SAFETY: the place is checked, and no Rust reference to the channel's bytes exists.
        unsafe {
            std::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                self.place(at, bytes.len(), 1),
                bytes.len(),
            )
        }
    }

    /// Copy bytes out.
    pub(crate) fn read(&self, at: usize, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        // SAFETY: as above.
        unsafe { std::ptr::copy_nonoverlapping(self.place(at, size, 1), bytes.as_mut_ptr(), size) };
        bytes
    }

    /// A checked address. Panics when it is not in the channel: offsets come from `Sizes`, and
    /// sizes of payloads are bounded before they get here.
    pub(crate) fn place(&self, at: usize, size: usize, alignment: usize) -> *mut u8 {
        assert!(at % alignment == 0 && at <= self.size && size <= self.size - at);
        // SAFETY: inside of the mapping.
        unsafe { self.start.add(at) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing borrowed from it outlives `self`.
        unsafe { libc::munmap(self.start.cast(), self.size) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_can_only_read_what_is_the_dispatchers() {
        let sizes = Sizes::default();
        let (_made, fd) = Memory::create(sizes).unwrap();
        let opened = Memory::open(fd).unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let writable = |at: usize| {
            let place = opened.start as usize + at;
            maps.lines().any(|line| {
                let (bounds, rest) = line.split_once(' ').unwrap();
                let (start, end) = bounds.split_once('-').unwrap();
                let number = |text| usize::from_str_radix(text, 16).unwrap();
                (number(start)..number(end)).contains(&place) && rest.starts_with("rw")
            })
        };
        for at in [0, sizes.responses(), sizes.outputs(), sizes.total() - 1] {
            assert!(writable(at), "{}", at);
        }
        for at in [sizes.requests(), sizes.table(), sizes.inputs(), sizes.outputs() - 1] {
            assert!(!writable(at), "{}", at);
        }
    }

    #[test]
    fn channels_smaller_than_pages_can_be_opened() {
        let (_made, fd) = Memory::create(Sizes { slots: 1, buffer: 64, functions: 1 }).unwrap();
        Memory::open(fd).unwrap();
    }
}
