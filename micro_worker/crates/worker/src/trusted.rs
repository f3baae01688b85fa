//! The code that is not a function's: what was mapped executable before any library was loaded.

use std::fs;
use std::io;

/// Addresses from `start` up to and without `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    pub start: usize,
    pub end: usize,
}

/// The executable mappings of this process, and which of them is the vDSO.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    pub code: Vec<Range>,
    pub vdso: Range,
}

impl Trusted {
    /// Read them from the kernel. Call before the first library is loaded.
    pub fn read() -> io::Result<Trusted> {
        Ok(Trusted::of(&fs::read_to_string("/proc/self/maps")?))
    }

    fn of(maps: &str) -> Trusted {
        let mut found = Trusted::default();
        for line in maps.lines() {
            let mut fields = line.split_whitespace();
            let (bounds, mode) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
            let mut bounds = bounds.split('-').map(|text| usize::from_str_radix(text, 16));
            if let (Some(Ok(start)), Some(Ok(end))) = (bounds.next(), bounds.next()) {
                // The kernel's page of old time calls lies in its own half; nothing runs there.
                if mode.contains('x') && start < 1 << 47 {
                    let range = Range { start, end };
                    if fields.last() == Some("[vdso]") {
                        found.vdso = range;
                    }
                    found.code.push(range);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_mappings_are_found() {
        let maps = "\
7f00-7f10 r--p 00000000 fe:01 123 /usr/lib/libc.so.6
7f10-7f30 r-xp 00010000 fe:01 123 /usr/lib/libc.so.6
7ff0-7ff2 r-xp 00000000 00:00 0 [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
";
        let vdso = Range { start: 0x7ff0, end: 0x7ff2 };
        let code = vec![Range { start: 0x7f10, end: 0x7f30 }, vdso];
        assert_eq!(Trusted::of(maps), Trusted { code, vdso });
    }

    #[test]
    fn this_process_has_a_vdso_and_code() {
        let found = Trusted::read().unwrap();
        let here = executable_mappings_are_found as usize;
        assert!(found.code.iter().any(|range| range.start <= here && here < range.end));
    }
}
