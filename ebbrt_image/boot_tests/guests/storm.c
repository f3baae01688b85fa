// Random calls with random arguments, and random faults among them, until it
// ends by one. It may destroy anything of its own.
#include "Requests.h"

// Figures: calls made, their complement (so that a damaged count is known), and
// the seed, which the test changes in copies.
enum { kCount = 0, kCountCheck = 1, kSeed = 2 };

enum { kBufferPages = 8, kThreads = 4, kStack = 8192 };

static u8 buffer[kBufferPages * kPageSize] __attribute__((aligned(4096)));
static u8 stacks[kThreads][kStack] __attribute__((aligned(16)));
static u32 alive[kThreads];
static u64 seed, state;
static u64 places[8];  // where memory was mapped last

static u64 Random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state * 0x2545f4914f6cdd1d;
}

static u64 Below(u64 limit) {
  return (Random() >> 16) % limit;
}

// All that the personality knows, more often than the rest.
static const short known[] = {
    0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   10,  11,  12,  13,  14,
    16,  17,  18,  19,  20,  21,  22,  23,  24,  25,  28,  32,  33,  35,  39,
    41,  42,  43,  44,  45,  46,  47,  48,  49,  50,  51,  52,  53,  54,  55,  56,  61,  63,  72,  73,  74,
    76,  77,  79,  80,  81,  82,  83,  84,  87,  89,  90,  91,  95,  96,  97,
    98,  99,  100, 102, 110, 131, 157, 158, 186, 201, 202, 203, 204, 213, 217,
    218, 228, 229, 230, 232, 233, 257, 258, 262, 263, 264, 267, 268, 269, 270,
    271, 273, 280, 281, 284, 285, 288, 290, 291, 292, 293, 302, 307, 309, 316, 318, 436,
    439, 500, 9,   9,   10,  11,  25,  28,  2,   257, 22,  53,  1,   0,   202};

static const u64 odd[] = {
    0,
    1,
    0xfff,
    0x1000,
    0x10000,
    0x7ffffffff000,
    0x7fffffffffff,
    0x800000000000,
    0x7fffffffffffffff,
    0x8000000000000000,
    0xffff7fffffffffff,
    0xffff800000000000,
    0xffff800000100000,
    0xffffe00000001000,
    0xfffff00000000000,
    0xffffffff80100000,
    0xffffffff,
    0x80000000,
    0xffffffffffffe000,
    0xffffffffffffffff,
};

static const char* const names[] = {
    "/tmp/a", "/tmp/b/c",  "/tmp",       "/tmp/b",    "a", "..",
    "/",      "/dev/null", "/bin/storm", "/dev/zero", "",  "/tmp/a/b"};

static u64 Place(void) {
  switch (Below(8)) {
  case 0:
    return (u64)report + Below(kPageSize);
  case 1:
    return places[Below(8)] + Below(4) * kPageSize;
  case 2:
    // Before, at and behind a border of pages.
    return (u64)buffer + (1 + Below(kBufferPages)) * kPageSize - Below(40);
  case 3:
    return (u64)stacks + Below(sizeof(stacks));
  case 4:
    return 0x400000 + Below(8) * kPageSize;
  case 5:
    return (u64)&Random - Below(4) * kPageSize;
  default:
    return (u64)buffer + Below(sizeof(buffer)) / 8 * 8;
  }
}

static u64 Argument(void) {
  switch (Below(12)) {
  case 0:
    return odd[Below(sizeof(odd) / sizeof(odd[0]))];
  case 1:
    return odd[Below(sizeof(odd) / sizeof(odd[0]))] + Below(17) - 8;
  case 2:
  case 3:
    return Below(16);
  case 4:
    return 1ul << Below(64);
  case 5:
    return Below(40);
  case 6:
    return Below(20) * kPageSize;
  case 7:
    return (u64)names[Below(sizeof(names) / sizeof(names[0]))];
  case 8:
    return Random();
  case 9:
    return -Below(200);
  default:
    return Place();
  }
}

// Contents of structures that calls read: places, lengths, times, numbers.
static void FillSome(void) {
  u64* words = (u64*)buffer;
  u64 at = Below(sizeof(buffer) / 8 - 8);
  for (u64 i = 0; i < 8; ++i)
    words[at + i] = Argument();
}

static void Storm(void* unused);

static void MakeThread(void) {
  u64 i = Below(kThreads);
  if (!alive[i])
    StartThread(Storm, 0, stacks[i] + kStack, &alive[i]);
}

static void MakeCall(void) {
  long number;
  switch (Below(16)) {
  case 0:
    // Numbers of no table are the end, so they come seldom.
    number = Below(64) ? (long)Below(512) : (long)Argument();
    break;
  case 1:
    number = (long)Below(512);
    break;
  default:
    number = known[Below(sizeof(known) / sizeof(known[0]))];
  }
  // What ends the program would leave no time for the rest.
  if ((number == kExit || number == kExitGroup || number == kKill ||
       number == 200 || number == 234) &&
      Below(20))
    number = kThreadId;
  // Waits that are long are given a time; some stay as they are.
  u64 a = Argument(), b = Argument(), c = Argument(), d = Argument();
  if (number == kPoll && Below(8))
    c = Below(2);
  if ((number == 232 || number == 281) && Below(8))
    d = Below(2);
  long answer = Call(number, a, b, c, d, Argument(), Argument());
  if ((number == kMap || number == kRemap) && answer > 0)
    places[Below(8)] = (u64)answer;
}

static void SetFlags(u64 flags) {
  __asm__ volatile("pushq %0; popfq" : : "r"(flags) : "cc", "memory");
}

// Instructions that ring 3 may not use, or that do odd things.
static const u8 codes[][8] = {
    {0xf4, 0xc3},                          // hlt
    {0xfa, 0xc3},                          // cli
    {0x0f, 0x01, 0xf8, 0xc3},              // swapgs
    {0x0f, 0x32, 0xc3},                    // rdmsr
    {0x0f, 0x30, 0xc3},                    // wrmsr
    {0x0f, 0x20, 0xc0, 0xc3},              // mov %cr0, %rax
    {0x0f, 0x23, 0xf8, 0xc3},              // mov %rax, %dr7
    {0x0f, 0x0b},                          // ud2
    {0xcc, 0xc3},                          // int3
    {0xcd, 0x80, 0xc3},                    // int $0x80
    {0xcd, 0x20, 0xc3},                    // int $0x20
    {0xe6, 0xf4, 0xc3},                    // out %al, $0xf4
    {0x31, 0xc9, 0xf7, 0xf1, 0xc3},        // division by zero
    {0x8e, 0xe0, 0xc3},                    // mov %eax, %fs
    {0x8e, 0xe8, 0xc3},                    // mov %eax, %gs
    {0x0f, 0x07},                          // sysret
    {0x0f, 0x34, 0xc3},                    // sysenter
    {0x31, 0xe4, 0x0f, 0x05, 0xc3},        // xor %esp, %esp; syscall
    {0x48, 0xf7, 0xd4, 0x0f, 0x05, 0xc3},  // not %rsp; syscall
    {0xdb, 0xe3, 0xdd, 0xd8, 0x9b, 0xc3},  // fninit; fstp %st(0); fwait
};

static void RunCode(void) {
  u8* page = MapAnonymous(0, kPageSize, kCanRead | kCanWrite | kCanExecute, 0);
  if ((long)page < 0)
    return;
  u64 which = Below(sizeof(codes) / sizeof(codes[0]) + 4);
  if (which < sizeof(codes) / sizeof(codes[0]))
    for (int i = 0; i < 8; ++i)
      page[i] = codes[which][i];
  else
    // Anything but IRET, which QEMU 7.2 lets fault for ever.
    for (int i = 0; i < 64; ++i)
      do
        page[i] = (u8)Random();
      while (page[i] == 0xcf);
  __asm__ volatile("call *%0"
                   :
                   : "r"(page), "a"(Below(1ul << Below(32)))
                   : "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9", "r10",
                     "r11", "memory");
  CALL2(kUnmap, page, kPageSize);
}

static void MakeFault(void) {
  u64 address = Argument();
  switch (Below(6)) {
  case 0:
    *(volatile u8*)address = 1;
    break;
  case 1:
    (void)*(volatile u64*)address;
    break;
  case 2:
    __asm__ volatile("call *%0" : : "r"(address) : "memory");
    break;
  case 3:
    SetFlags(Below(3) ? Random() & ~0x100ul : Random());
    break;
  case 4:
    __asm__ volatile("movq %%rsp, %%rbx; movq %0, %%rsp; syscall;"
                     "movq %%rbx, %%rsp"
                     :
                     : "r"(address), "a"((long)kThreadId)
                     : "rbx", "rcx", "r11", "memory");
    break;
  default:
    RunCode();
  }
}

static void Storm(void* unused) {
  (void)unused;
  for (;;) {
    if (report[kSeed] != seed) {
      seed = report[kSeed];
      state = seed * 0x9e3779b97f4a7c15 | 1;
    }
    if (Below(4) == 0)
      FillSome();
    u64 choice = Below(1000);
    if (choice < 6)
      MakeThread();
    else if (choice < 8)
      MakeFault();
    MakeCall();
    // A count that was damaged stays so.
    u64 count = report[kCount];
    if (report[kCountCheck] == ~count) {
      report[kCount] = count + 1;
      report[kCountCheck] = ~(count + 1);
    }
  }
}

int Main(int count, char** arguments) {
  (void)arguments;
  EXPECT(count, 1);
  OpenReport();
  report[kCountCheck] = ~0ul;
  // The test gives the seed before it lets us go.
  while (!report[kSeed])
    CALL1(kYield, 0);
  Storm(0);
  return 0;
}
