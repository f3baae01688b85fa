#include "Console.h"

namespace {

constexpr uint32 kFirstSlot = 0xfeb00000;
constexpr uint32 kSlotSize = 512;
constexpr uint32 kSlots = 24;
constexpr uint32 kMagic = 0x74726976;
constexpr uint32 kConsoleId = 3;
constexpr uint32 kQueueSize = 2;
constexpr uint32 kReceive = 0;
constexpr uint32 kTransmit = 1;

struct Descriptor {
  uint32 address;
  uint32 address_high;
  uint32 length;
  uint16 flags;
  uint16 next;
};

struct Available {
  uint16 flags;
  uint16 index;
  uint16 ring[kQueueSize];
};

struct Used {
  uint16 flags;
  uint16 index;
  struct {
    uint32 id;
    uint32 length;
  } ring[kQueueSize];
};

struct alignas(4096) Queue {
  Descriptor descriptors[kQueueSize];
  alignas(64) volatile Available available;
  alignas(64) volatile Used used;
  uint16 seen;
};

Queue queues[2];
alignas(4096) uint8 received[kPageSize];
volatile uint32* registers;

void OutByte(uint16 port, uint8 value) {
  asm volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

volatile uint32& Register(uint32 offset) {
  return registers[offset / 4];
}

void FindConsole() {
  for (uint32 slot = 0; slot < kSlots; ++slot) {
    registers =
        reinterpret_cast<volatile uint32*>(kFirstSlot + slot * kSlotSize);
    if (Register(0x00) == kMagic && Register(0x04) == 2 &&
        Register(0x08) == kConsoleId)
      return;
  }
  Print("no console\n");
  Exit(kExitFailure);
}

void SetUpQueue(uint32 number) {
  Queue& queue = queues[number];
  Register(0x30) = number;
  Register(0x38) = kQueueSize;
  Register(0x80) = reinterpret_cast<uint32>(&queue.descriptors);
  Register(0x84) = 0;
  Register(0x90) = reinterpret_cast<uint32>(&queue.available);
  Register(0x94) = 0;
  Register(0xa0) = reinterpret_cast<uint32>(&queue.used);
  Register(0xa4) = 0;
  Register(0x44) = 1;
}

void SetUpDevice() {
  FindConsole();
  Register(0x70) = 0;
  Register(0x70) = 1 | 2;  // acknowledge, driver
  Register(0x24) = 0;
  Register(0x20) = 0;
  Register(0x24) = 1;
  Register(0x20) = 1;          // VIRTIO_F_VERSION_1 and nothing else
  Register(0x70) = 1 | 2 | 8;  // features are settled
  SetUpQueue(kReceive);
  SetUpQueue(kTransmit);
  Register(0x70) = 1 | 2 | 8 | 4;  // driver is ready
}

// Hands one buffer to the device and waits for it to come back.
uint32 Pass(uint32 number, void* buffer, uint32 length) {
  Queue& queue = queues[number];
  queue.descriptors[0].address = reinterpret_cast<uint32>(buffer);
  queue.descriptors[0].length = length;
  queue.descriptors[0].flags = number == kReceive ? 2 : 0;
  queue.available.ring[queue.available.index % kQueueSize] = 0;
  asm volatile("" ::: "memory");
  queue.available.index = queue.available.index + 1;
  asm volatile("" ::: "memory");
  Register(0x50) = number;
  while (queue.used.index == queue.seen)
    asm volatile("pause");
  uint32 taken = queue.used.ring[queue.seen % kQueueSize].length;
  ++queue.seen;
  return taken;
}

}  // namespace

void Exit(uint8 value) {
  for (;;)
    OutByte(0xf4, value);
}

void Print(const char* text) {
  while (*text)
    OutByte(0xe9, *text++);
}

void console::SetUp() {
  SetUpDevice();
}

uint32 console::Receive() {
  return Pass(kReceive, received, sizeof(received));
}

const uint8* console::Received() {
  return received;
}

void console::Send(const void* data, uint32 length) {
  Pass(kTransmit, const_cast<void*>(data), length);
}
