// A guest for the tests of the orchestrator's machines. It obeys commands that
// come over the first virtio console (virtio-mmio, version 2, polled) and runs
// without paging, so that each byte it touches is known.
//
// Command, 12 bytes: operation, value, two unused, u32 page, u32 count.
// Answer, 8 bytes: u32 result, u32 number of commands obeyed so far.

using uint8 = unsigned char;
using uint16 = unsigned short;
using uint32 = unsigned int;

namespace {

constexpr uint32 kPageSize = 4096;
constexpr uint32 kFirstSlot = 0xfeb00000;
constexpr uint32 kSlotSize = 512;
constexpr uint32 kSlots = 24;
constexpr uint32 kMagic = 0x74726976;
constexpr uint32 kConsoleId = 3;
constexpr uint32 kQueueSize = 2;
constexpr uint32 kReceive = 0;
constexpr uint32 kTransmit = 1;
constexpr uint8 kExitSuccess = 0x10;
constexpr uint8 kExitFailure = 0x20;

struct Command {
  char operation;
  uint8 value;
  uint8 unused[2];
  uint32 page;
  uint32 count;
};

struct Answer {
  uint32 result;
  uint32 obeyed;
};

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
uint32 obeyed;
volatile uint32* registers;

void OutByte(uint16 port, uint8 value) {
  asm volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

[[noreturn]] void Exit(uint8 value) {
  for (;;)
    OutByte(0xf4, value);
}

void Print(const char* text) {
  while (*text)
    OutByte(0xe9, *text++);
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

void SetUpConsole() {
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

uint32 Obey(const Command& command) {
  auto* memory = reinterpret_cast<volatile uint8*>(command.page * kPageSize);
  uint32 sum = 0;
  switch (command.operation) {
  case 'w':  // write the value into each of `count` pages
    for (uint32 page = 0; page < command.count; ++page)
      memory[page * kPageSize + 7] = command.value;
    return command.count;
  case 'f':  // fill whole pages with bytes that differ from page to page
    for (uint32 page = 0; page < command.count; ++page)
      for (uint32 at = 0; at < kPageSize; ++at)
        memory[page * kPageSize + at] =
            static_cast<uint8>(command.value + page + at % 251);
    return command.count;
  case 'z':  // clear whole pages
    for (uint32 at = 0; at < command.count * kPageSize; ++at)
      memory[at] = 0;
    return command.count;
  case 's':  // add up the bytes of `count` pages
    for (uint32 at = 0; at < command.count * kPageSize; ++at)
      sum = sum * 31 + memory[at];
    return sum;
  case 'p':  // print on the debug console
    Print("obedient\n");
    return 0;
  case 'x':
    Exit(command.value);
  case 'h':  // hang
    for (;;)
      asm volatile("pause");
  default:
    return 0xffffffff;
  }
}

}  // namespace

extern "C" [[noreturn]] void Main() {
  SetUpConsole();
  Print("ready\n");
  Command command;
  uint32 held = 0;
  for (;;) {
    uint32 length = Pass(kReceive, received, sizeof(received));
    for (uint32 at = 0; at < length; ++at) {
      reinterpret_cast<uint8*>(&command)[held++] = received[at];
      if (held < sizeof(command))
        continue;
      held = 0;
      Answer answer{Obey(command), ++obeyed};
      Pass(kTransmit, &answer, sizeof(answer));
    }
  }
}
