// A guest for the tests of the orchestrator's machines. It obeys commands that
// come over the console and runs without paging, so that each byte it touches
// is known.
//
// Command, 12 bytes: operation, value, two unused, u32 page, u32 count.
// Answer, 8 bytes: u32 result, u32 number of commands obeyed so far.

#include "Console.h"

namespace {

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

uint32 obeyed;

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
  console::SetUp();
  Print("ready\n");
  Command command;
  uint32 held = 0;
  for (;;) {
    uint32 length = console::Receive();
    for (uint32 at = 0; at < length; ++at) {
      reinterpret_cast<uint8*>(&command)[held++] = console::Received()[at];
      if (held < sizeof(command))
        continue;
      held = 0;
      Answer answer{Obey(command), ++obeyed};
      console::Send(&answer, sizeof(answer));
    }
  }
}
