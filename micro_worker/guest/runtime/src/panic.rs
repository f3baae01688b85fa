//! A panic writes its message into the call's output and leaves. Nothing is unwound: the heap goes
//! as a whole.

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use micro_abi::{Call, Ending};

/// The front of the output buffer, cut where it is full.
struct Output<'a>(&'a mut Call);

impl Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let size = text.len().min(self.0.output_capacity - self.0.output_size);
        // SAFETY: `size` bytes are left in the buffer, which lies apart from all text.
        unsafe {
            let place = self.0.output.add(self.0.output_size);
            core::ptr::copy_nonoverlapping(text.as_ptr(), place, size);
        }
        self.0.output_size += size;
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    // SAFETY: functions run during calls only, and the function no longer runs.
    let call = unsafe { &mut *crate::current_call() };
    call.output_size = 0;
    let _ = write!(Output(call), "{}", info);
    crate::leave(Ending::Panicked)
}

/// Named by the tables of `core` and `alloc`, whose frames are never unwound here.
#[no_mangle]
extern "C" fn rust_eh_personality() {}

/// Called by landing pads, which are never reached.
#[no_mangle]
extern "C" fn _Unwind_Resume() -> ! {
    crate::leave(Ending::Aborted)
}
