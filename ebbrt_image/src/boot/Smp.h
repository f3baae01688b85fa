// Starts the other cores, each in its own event loop.
#ifndef EBBRT_BOOT_SMP_H_
#define EBBRT_BOOT_SMP_H_

namespace ebbrt::smp {

// Returns when all cores run.
void Init();

}  // namespace ebbrt::smp

#endif  // EBBRT_BOOT_SMP_H_
