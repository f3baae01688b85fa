// The first virtio console (virtio-mmio, version 2, polled) and QEMU's debug
// devices, for guests that run in 32-bit mode without paging.

#ifndef PROBE_CONSOLE_H
#define PROBE_CONSOLE_H

using uint8 = unsigned char;
using uint16 = unsigned short;
using uint32 = unsigned int;

constexpr uint32 kPageSize = 4096;
constexpr uint8 kExitSuccess = 0x10;
constexpr uint8 kExitFailure = 0x20;

// Ends QEMU through isa-debug-exit.
[[noreturn]] void Exit(uint8 value);

// Writes to the debug console.
void Print(const char* text);

namespace console {

void SetUp();

// Waits for input and returns how many bytes there are at Received().
uint32 Receive();
const uint8* Received();

// Returns when the host has taken all.
void Send(const void* data, uint32 length);

}  // namespace console

#endif  // PROBE_CONSOLE_H
