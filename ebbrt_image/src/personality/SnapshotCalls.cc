// The call that is ours and not Linux's: seuss_capture, number 500. It gives
// the snapshot's number in the UC that made it, and 0 in every copy, which goes
// on from there.

#include "personality/Calls.h"

ebbrt::Answer ebbrt::personality::CaptureSelf(SystemCall& call) {
  auto snapshot = call.uc().observer().CaptureAsked(call.uc(), call.thread());
  if (!snapshot)
    return snapshot.error();
  return uint64_t{*snapshot};
}
