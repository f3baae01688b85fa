// Starts the other cores, each in its own event loop.
#pragma once

namespace ebbrt::smp {

// Returns when all cores run.
void Init();

}  // namespace ebbrt::smp
