// Fills memory, then does what requests ask for, by their numbers. The test
// captures it while it waits for the next.
#include "Guest.h"

enum { kPages = 4000, kChannel = 3, kWords = kPageSize / 8 };

static u64 pages[kPages][kWords] __attribute__((aligned(4096)));
static u64 frame[kWords] __attribute__((aligned(4096)));
static u8 stack[4096] __attribute__((aligned(4096)));
static u32 alive, ready, go;

static u64 count;

// Fresh in every clone: what an earlier one wrote must not be there.
static void Check(u64 first, u64 end, u64 more) {
  for (u64 i = first; i < end; ++i) {
    EXPECT(pages[i][0], i + 1 + more);
    EXPECT(pages[i][kWords - 1], i + 1 + more);
  }
}

static void Add(u64 first, u64 end, u64 more) {
  for (u64 i = first; i < end; ++i) {
    pages[i][0] += more;
    pages[i][kWords - 1] += more;
  }
}

static void Helper(void* unused) {
  (void)unused;
  ready = 1;
  Wake(&ready, 1);
  WaitWhile(&go, 0);
  EndThread();
}

int Main(int argument_count, char** arguments) {
  EXPECT(argument_count, 2);
  count = ToNumber(arguments[1]);
  for (u64 i = 0; i < count; ++i)
    pages[i][0] = pages[i][kWords - 1] = i + 1;
  EXPECT_TRUE(StartThread(Helper, 0, stack + sizeof(stack), &alive) > 0);
  // So that the same pages are written whenever the capture comes.
  WaitWhile(&ready, 0);
  for (;;) {
    EXPECT(CALL3(kRead, kChannel, frame, 32), 32);
    u64 request = frame[1];
    switch (request) {
    case 1:
      Check(0, count, 0);
      return 11;
    case 2:
      Check(0, count, 0);
      Add(0, 10, 1000);
      Check(0, 10, 1000);
      Check(10, count, 0);
      return 12;
    case 3:
      return 13;
    case 4:
      // On to the next level.
      Check(0, count, 0);
      Add(20, 30, 100);
      break;
    case 5:
      Check(0, 20, 0);
      Check(20, 30, 100);
      Check(30, count, 0);
      Add(0, 40, 7);
      return 15;
    case 6: {
      // Calls on borrowed memory.
      u8* at = (u8*)pages;
      EXPECT(CALL2(kUnmap, at + 5 * kPageSize, 3 * kPageSize), 0);
      EXPECT(CALL3(kProtect, at + 10 * kPageSize, 2 * kPageSize, kCanRead), 0);
      EXPECT(CALL3(kRandom, at + 10 * kPageSize, 8, 0), kBadAddress);
      EXPECT(CALL3(kProtect, at + 10 * kPageSize, 2 * kPageSize,
                   kCanRead | kCanWrite),
             0);
      Add(10, 12, 5);
      EXPECT(CALL3(kAdvise, at + 14 * kPageSize, kPageSize, 4), 0);
      EXPECT(pages[14][0], 0);
      u64* moved = (u64*)CALL4(kRemap, at + 16 * kPageSize, 2 * kPageSize,
                               5 * kPageSize, 1);
      EXPECT_TRUE((long)moved > 0);
      EXPECT(moved[0], 17);
      EXPECT(moved[kWords], 18);
      moved[0] = 1;
      Check(0, 5, 0);
      Check(8, 10, 0);
      Check(10, 12, 5);
      return 16;
    }
    case 7:
      // The thread that was captured as it waited goes on.
      EXPECT(alive, 1);
      go = 1;
      Wake(&go, 1);
      WaitWhile(&alive, 1);
      return 17;
    case 8:
      // As much as the limit allows, then one more.
      Add(0, count, 1);
      return 18;
    }
  }
}
