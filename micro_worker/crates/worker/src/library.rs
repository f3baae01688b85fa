//! A function's shared library in this process: loading, its code and statics, unloading.

use std::ffi::{CStr, CString};
use std::os::raw::c_void;

use micro_abi::{Host, Library, Mechanism, SYMBOL, VERSION};

use crate::trusted::Range;

/// A loaded library. Dropping it unloads it.
pub struct Loaded {
    handle: *mut c_void,
    pub table: &'static Library,
    pub text: Range,
    /// The library's writable memory as it was once loaded, and where it belongs.
    statics: Vec<(*mut u8, Vec<u8>)>,
}

/// The start of ld.so's record of a library.
#[repr(C)]
struct LinkMap {
    base: usize,
}

impl Loaded {
    /// Load a library that was built for `mechanism`. The error says what is wrong with it.
    ///
    /// # Safety
    /// The file is one that the build has made: its initialisers run, and its table is believed.
    /// `host` must stay valid as long as the library is loaded.
    pub unsafe fn open(
        path: &str,
        mechanism: Mechanism,
        host: *const Host,
    ) -> Result<Loaded, String> {
        // The loader would ask where this process is, which the filter does not allow.
        if !path.starts_with('/') {
            return Err("its path is not absolute".to_owned());
        }
        let file = CString::new(path).map_err(|_| "its path holds a zero byte".to_owned())?;
        // SAFETY: a C string; what runs is the caller's promise. On every failure after this,
        // `Drop` unloads it again.
        unsafe {
            let handle = libc::dlopen(file.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
            if handle.is_null() {
                return Err(CStr::from_ptr(libc::dlerror()).to_string_lossy().into_owned());
            }
            let guard = Handle(handle);
            let table = libc::dlsym(handle, SYMBOL.as_ptr().cast()).cast::<Library>();
            let table: &'static Library =
                table.as_ref().ok_or("it exports no MICRO_LIBRARY: it was not built for Micro")?;
            if table.version != VERSION {
                return Err(format!(
                    "it has version {} and this worker {}: build the function again",
                    table.version, VERSION
                ));
            }
            if table.mechanism != mechanism as u32 {
                return Err("it was built for the other way of preemption".to_owned());
            }
            (table.start)(host);
            let (text, data) = segments(handle)?;
            let statics = data
                .into_iter()
                .map(|range| {
                    let start = range.start as *mut u8;
                    let size = range.end - range.start;
                    (start, std::slice::from_raw_parts(start, size).to_vec())
                })
                .collect();
            std::mem::forget(guard);
            Ok(Loaded { handle, table, text, statics })
        }
    }

    /// Put the library's statics back to what they were when it was loaded.
    ///
    /// # Safety
    /// No call of the library is under way.
    pub unsafe fn restore(&self) {
        for (start, bytes) in &self.statics {
            // SAFETY: the library's own writable memory, which nothing borrows between calls.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), *start, bytes.len()) };
        }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        drop(Handle(self.handle));
    }
}

struct Handle(*mut c_void);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: a handle of dlopen, closed once.
        unsafe { libc::dlclose(self.0) };
    }
}

/// The library's code, and the parts of it that stay writable.
///
/// # Safety
/// `handle` is of a loaded library.
unsafe fn segments(handle: *mut c_void) -> Result<(Range, Vec<Range>), String> {
    const PAGE: usize = 4096;
    let mut map: *const LinkMap = std::ptr::null();
    // SAFETY: ld.so fills the pointer; a loaded library starts with its ELF header, which ld.so has
    // checked, and the headers of its segments lie in its first one.
    let (base, headers) = unsafe {
        let place = (&mut map as *mut *const LinkMap).cast();
        if libc::dlinfo(handle, libc::RTLD_DI_LINKMAP, place) != 0 {
            return Err("ld.so does not know it".to_owned());
        }
        let base = (*map).base;
        let header = &*(base as *const libc::Elf64_Ehdr);
        let start = (base + header.e_phoff as usize) as *const libc::Elf64_Phdr;
        (base, std::slice::from_raw_parts(start, header.e_phnum as usize))
    };
    let bounds = |header: &libc::Elf64_Phdr| {
        let start = base + header.p_vaddr as usize;
        Range { start, end: start + header.p_memsz as usize }
    };
    // ld.so has made these read-only, up to the last whole page.
    let fixed = headers.iter().find(|header| header.p_type == libc::PT_GNU_RELRO).map(bounds);
    let (mut text, mut data) = (None, Vec::new());
    for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD) {
        let mut range = bounds(header);
        if header.p_flags & libc::PF_X != 0 {
            text = Some(range);
        } else if header.p_flags & libc::PF_W != 0 {
            if let Some(fixed) = fixed {
                if (range.start..range.end).contains(&fixed.start) {
                    range.start = range.start.max(fixed.end & !(PAGE - 1));
                }
            }
            if range.start < range.end {
                data.push(range);
            }
        }
    }
    Ok((text.ok_or("it holds no code")?, data))
}

/// The vDSO's `clock_gettime`: a clock that needs no system call.
pub fn vdso_clock() -> unsafe extern "C" fn(i32, *mut micro_abi::Timespec) -> i32 {
    // SAFETY: C strings; the vDSO is always loaded, and its function has this signature, as has
    // libc's, which serves where a kernel has no vDSO.
    unsafe {
        let name = b"linux-vdso.so.1\0".as_ptr().cast();
        let vdso = libc::dlopen(name, libc::RTLD_NOW | libc::RTLD_NOLOAD);
        if !vdso.is_null() {
            let found = libc::dlsym(vdso, b"__vdso_clock_gettime\0".as_ptr().cast());
            if !found.is_null() {
                return std::mem::transmute(found);
            }
        }
        std::mem::transmute(libc::clock_gettime as *const c_void)
    }
}
