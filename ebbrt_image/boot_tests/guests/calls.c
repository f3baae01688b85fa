// Calls that make no sense. The program must live through them, unless it ends
// itself by one.
#include "Guest.h"

enum { kCalls = 512, kChannel = 3 };

static u8 buffer[4 * kPageSize] __attribute__((aligned(4096)));
static u64 state;

static u64 Random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state * 0x2545f4914f6cdd1d;
}

static const u64 kBadPointers[] = {
    1,
    8,
    0xfff,
    0x1000,
    0x7ffffffff000,
    0x7fffffffffff,
    0x800000000000,
    0x8000000000000000,
    0xffff7fffffffffff,
    0xffff800000000000,
    0xffff800000100000,
    0xffffe00000001000,
    0xfffff00000000000,
    0xffffffff80100000,
    0xffffffffffffe000,
    0xffffffffffffffff,
};
enum { kPointers = sizeof(kBadPointers) / sizeof(kBadPointers[0]) };

// These end the program, or wait for what never comes.
static int Skipped(long number) {
  return number == kExit || number == kExitGroup || number == kKill ||
         number == 200 || number == 234;
}

// Every call with the same bad pointer in every place, and with it in all
// places but the first, which is a descriptor.
static void BadPointers(void) {
  for (long number = 0; number < kCalls; ++number) {
    if (Skipped(number))
      continue;
    for (int i = 0; i < kPointers; ++i) {
      u64 p = kBadPointers[i];
      Call(number, p, p, p, p, p, p);
      for (u64 descriptor = 0; descriptor < 3; ++descriptor)
        // Not from address 0 to the end of memory, and not for ever.
        if ((number < kMap || number > kBreak) && number != kAdvise &&
            number != 23 && number != 270 && number != 271)
          Call(number, descriptor, p, kPageSize, p, p, p);
    }
  }
  // The channel takes frames only.
  EXPECT(CALL3(kWrite, kChannel, buffer, 32), kInvalid);
  EXPECT(CALL3(kWrite, kChannel, buffer, 31), kInvalid);
  EXPECT(CALL3(kWrite, kChannel, kBadPointers[0], 64), kBadAddress);
}

static void ExpectBadAddress(long number, u64 a, u64 b, u64 c, u64 d, u64 e,
                             u64 f, int line) {
  for (int i = 0; i < kPointers; ++i) {
    u64 p = kBadPointers[i];
    long answer = Call(number, a == 7 ? p : a, b == 7 ? p : b, c == 7 ? p : c,
                       d == 7 ? p : d, e == 7 ? p : e, f == 7 ? p : f);
    // What is not aligned may be refused for that.
    if (answer != kInvalid || p % 8 == 0)
      ExpectAt("calls.c", line, answer, kBadAddress);
  }
}
// 7 stands for each bad pointer in turn.
#define BAD(...) ExpectBadAddress(__VA_ARGS__, __LINE__)

static void Faults(void) {
  int ends[2];
  EXPECT(CALL2(kPipe2, ends, 0x800), 0);
  EXPECT(CALL3(kWrite, ends[1], buffer, 100), 100);
  BAD(kRead, (u64)ends[0], 7, 16, 0, 0, 0);
  BAD(kWrite, (u64)ends[1], 7, 16, 0, 0, 0);
  BAD(kWrite, 1, 7, 16, 0, 0, 0);
  BAD(2, 7, 0, 0, 0, 0, 0);
  BAD(4, 7, (u64)buffer, 0, 0, 0, 0);
  BAD(4, (u64) "/", 7, 0, 0, 0, 0);
  BAD(5, 1, 7, 0, 0, 0, 0);
  BAD(kPoll, 7, 1, 0, 0, 0, 0);
  BAD(13, 15, 7, 0, 8, 0, 0);
  BAD(13, 15, 0, 7, 8, 0, 0);
  BAD(14, 0, 7, 0, 8, 0, 0);
  BAD(19, (u64)ends[0], 7, 1, 0, 0, 0);
  BAD(20, (u64)ends[1], 7, 1, 0, 0, 0);
  BAD(22, 7, 0, 0, 0, 0, 0);
  BAD(23, 1, 7, 0, 0, 0, 0);
  BAD(kSleep, 7, 0, 0, 0, 0, 0);
  BAD(kSocketPair, 1, 1, 0, 7, 0, 0);
  BAD(63, 7, 0, 0, 0, 0, 0);
  BAD(79, 7, 100, 0, 0, 0, 0);
  BAD(87, 7, 0, 0, 0, 0, 0);
  BAD(96, 7, 0, 0, 0, 0, 0);
  BAD(97, 3, 7, 0, 0, 0, 0);
  BAD(99, 7, 0, 0, 0, 0, 0);
  BAD(kFutex, 7, 0, 0, 0, 0, 0);
  BAD(kFutex, (u64)buffer, 0, 0, 7, 0, 0);
  BAD(kClockTime, 0, 7, 0, 0, 0, 0);
  BAD(kArchitecture, 0x1003, 7, 0, 0, 0, 0);
  BAD(257, (u64)-100, 7, 0, 0, 0, 0);
  BAD(262, (u64)-100, (u64) "/", 7, 0, 0, 0);
  BAD(kPipe2, 7, 0, 0, 0, 0, 0);
  BAD(302, 0, 3, 0, 7, 0, 0);
  BAD(kRandom, 7, 16, 0, 0, 0, 0);
  // Nothing was lost of what the pipe held.
  EXPECT(CALL3(kRead, ends[0], buffer, 1000), 100);
  EXPECT(CALL3(kRead, ends[0], buffer, 1000), kAgain);
}

static void Unknown(void) {
  // Numbers that Linux has and this kernel does not offer, and gaps.
  static const int kRefused[] = {15,  26,  57,  58,  59,  101, 103, 105,
                                 165, 169, 175, 248, 298, 321, 323, 332,
                                 334, 400, 425, 426, 427, 435, 450, 511};
  for (u64 i = 0; i < sizeof(kRefused) / sizeof(kRefused[0]); ++i)
    EXPECT(Call(kRefused[i], 0, 0, 0, 0, 0, 0), kNoCall);
}

// A few places that calls like to touch, numbers small and large.
static u64 RandomArgument(void) {
  u64 random = Random();
  switch (random % 8) {
  case 0:
    return kBadPointers[random / 8 % kPointers];
  case 1:
    return random / 8 % 16;
  case 2:
    return 1ul << random / 8 % 64;
  case 3:
    return random / 8 % 40000;
  case 4:
    return (u64) "/tmp/a";
  default:
    return (u64)buffer + random / 8 % sizeof(buffer) / 8 * 8;
  }
}

// Until the time limit, or until it destroys itself.
static void Anything(u64 seed) {
  state = seed * 0x9e3779b97f4a7c15 + 1;
  for (;;) {
    for (int i = 0; i < 50; ++i)
      buffer[Random() % sizeof(buffer)] = (u8)Random();
    long number = (long)(Random() % kCalls);
    if (!Skipped(number))
      Call(number, RandomArgument(), RandomArgument(), RandomArgument(),
           RandomArgument(), RandomArgument(), RandomArgument());
  }
}

int Main(int count, char** arguments) {
  EXPECT_TRUE(count >= 2);
  const char* what = arguments[1];
  if (Same(what, "pointers"))
    BadPointers();
  if (Same(what, "faults"))
    Faults();
  if (Same(what, "unknown"))
    Unknown();
  if (Same(what, "anything")) {
    // The request that bounds our time.
    CALL3(kRead, kChannel, buffer, 32);
    Anything(ToNumber(arguments[2]));
  }
  return 0;
}
