// Semantics of the memory calls, by scenario.
#include "Guest.h"

#define IS(name) Same(what, name)

static u8 buffer[2 * kPageSize];

// Whether the kernel may read, and write, the byte at `address` for us.
static int Readable(void* address) {
  int ends[2];
  EXPECT(CALL2(kPipe2, ends, 0), 0);
  long written = CALL3(kWrite, ends[1], address, 1);
  CALL1(kClose, ends[0]);
  CALL1(kClose, ends[1]);
  EXPECT_TRUE(written == 1 || written == kBadAddress);
  return written == 1;
}
static int Writable(void* address) {
  long got = CALL3(kRandom, address, 1, 0);
  EXPECT_TRUE(got == 1 || got == kBadAddress);
  return got == 1;
}

static void Map(void) {
  u8* pages = MapAnonymous(0, 4 * kPageSize, kCanRead | kCanWrite, 0);
  EXPECT_TRUE((long)pages > 0 && (u64)pages % kPageSize == 0);
  for (int i = 0; i < 4 * kPageSize; i += 64)
    EXPECT(pages[i], 0);
  pages[0] = 1;
  pages[3 * kPageSize] = 4;
  // A free hint is taken, one in use is not.
  u8* hint = (u8*)0x10000000;
  EXPECT(MapAnonymous((u64)hint, kPageSize, kCanRead, 0), hint);
  EXPECT_TRUE(MapAnonymous((u64)hint, kPageSize, kCanRead, 0) != hint);
  // Fixed replaces what is there; no-replace refuses.
  EXPECT(MapAnonymous((u64)pages, kPageSize, kCanRead | kCanWrite, 0x10),
         pages);
  EXPECT(pages[0], 0);
  EXPECT(pages[3 * kPageSize], 4);
  EXPECT(MapAnonymous((u64)pages, kPageSize, kCanRead, 0x100000), kExists);
  // Bad arguments.
  EXPECT(MapAnonymous(0, 0, kCanRead, 0), kInvalid);
  EXPECT(MapAnonymous(0, ~0ul, kCanRead, 0), kInvalid);
  EXPECT(MapAnonymous(0, 1ul << 48, kCanRead, 0), kNoMemory);
  EXPECT(MapAnonymous(0x10000001, kPageSize, kCanRead, 0x10), kInvalid);
  EXPECT(MapAnonymous(0, kPageSize, kCanRead, 0x10), kNotPermitted);
  EXPECT_TRUE(
      (long)MapAnonymous(0xffff800000000000, kPageSize, kCanRead, 0x10) < 0);
  EXPECT_TRUE(
      (long)MapAnonymous(0x7fffffffe000, 2 * kPageSize, kCanRead, 0x10) < 0);
  EXPECT(CALL6(kMap, 0, kPageSize, kCanRead, 2, 99, 0), kBadDescriptor);
}

static void Unmap(void) {
  u8* pages = MapAnonymous(0, 8 * kPageSize, kCanRead | kCanWrite, 0);
  for (int i = 0; i < 8; ++i)
    pages[i * kPageSize] = (u8)(i + 1);
  // A hole, whose sides stay.
  EXPECT(CALL2(kUnmap, pages + 3 * kPageSize, 2 * kPageSize), 0);
  for (int i = 0; i < 8; ++i)
    EXPECT(Readable(pages + i * kPageSize), i < 3 || i > 4);
  EXPECT(pages[2 * kPageSize], 3);
  EXPECT(pages[5 * kPageSize], 6);
  // Twice does no harm; over the edges takes what is there.
  EXPECT(CALL2(kUnmap, pages + 3 * kPageSize, 2 * kPageSize), 0);
  EXPECT(CALL2(kUnmap, pages, 8 * kPageSize), 0);
  for (int i = 0; i < 8; ++i)
    EXPECT(Readable(pages + i * kPageSize), 0);
  // What is mapped again is new.
  EXPECT(MapAnonymous((u64)pages, kPageSize, kCanRead, 0x10), pages);
  EXPECT(pages[0], 0);
  EXPECT(CALL2(kUnmap, pages + 1, kPageSize), kInvalid);
  EXPECT(CALL2(kUnmap, pages, 0), kInvalid);
  EXPECT(CALL2(kUnmap, 0xffff800000000000, kPageSize), kInvalid);
}

static void Protect(void) {
  u8* pages = MapAnonymous(0, 4 * kPageSize, kCanRead | kCanWrite, 0);
  for (int i = 0; i < 4; ++i)
    pages[i * kPageSize] = (u8)(i + 1);
  EXPECT(CALL3(kProtect, pages + kPageSize, kPageSize, kCanRead), 0);
  EXPECT(CALL3(kProtect, pages + 2 * kPageSize, kPageSize, 0), 0);
  EXPECT(Writable(pages + 8), 1);
  EXPECT(Writable(pages + kPageSize + 8), 0);
  EXPECT(Readable(pages + kPageSize), 1);
  EXPECT(Writable(pages + 2 * kPageSize + 8), 0);
  EXPECT(Readable(pages + 2 * kPageSize), 0);
  EXPECT(Writable(pages + 3 * kPageSize + 8), 1);
  // Access comes back, and the contents with it.
  EXPECT(CALL3(kProtect, pages, 4 * kPageSize, kCanRead | kCanWrite), 0);
  for (int i = 0; i < 4; ++i) {
    EXPECT(pages[i * kPageSize], i + 1);
    pages[i * kPageSize] = 9;
  }
  // A page may run what was written to it.
  pages[0] = 0xc3;
  EXPECT(CALL3(kProtect, pages, kPageSize, kCanRead | kCanExecute), 0);
  __asm__ volatile("call *%0" : : "r"(pages) : "memory");
  EXPECT(CALL2(kUnmap, pages + 3 * kPageSize, kPageSize), 0);
  EXPECT(CALL3(kProtect, pages + 2 * kPageSize, 2 * kPageSize, kCanRead),
         kNoMemory);
  EXPECT(CALL3(kProtect, pages + 1, kPageSize, kCanRead), kInvalid);
}

static void Remap(void) {
  u8* pages = MapAnonymous(0, 4 * kPageSize, kCanRead | kCanWrite, 0);
  for (int i = 0; i < 4; ++i)
    pages[i * kPageSize + i] = (u8)(i + 1);
  // Shrinking leaves the front.
  EXPECT(CALL4(kRemap, pages, 4 * kPageSize, 2 * kPageSize, 0), pages);
  EXPECT(Readable(pages + 2 * kPageSize), 0);
  EXPECT(pages[kPageSize + 1], 2);
  // Growing in place, into what became free; the new part is zero.
  EXPECT(CALL4(kRemap, pages, 2 * kPageSize, 3 * kPageSize, 0), pages);
  EXPECT(pages[2 * kPageSize + 2], 0);
  pages[2 * kPageSize + 2] = 7;
  // A neighbour is in the way.
  EXPECT(MapAnonymous((u64)pages + 3 * kPageSize, kPageSize, kCanRead, 0x10),
         pages + 3 * kPageSize);
  EXPECT(CALL4(kRemap, pages, 3 * kPageSize, 6 * kPageSize, 0), kNoMemory);
  u8* moved = (u8*)CALL4(kRemap, pages, 3 * kPageSize, 6 * kPageSize, 1);
  EXPECT_TRUE((long)moved > 0 && moved != pages);
  EXPECT(moved[0], 1);
  EXPECT(moved[kPageSize + 1], 2);
  EXPECT(moved[2 * kPageSize + 2], 7);
  EXPECT(moved[5 * kPageSize], 0);
  moved[5 * kPageSize] = 1;
  EXPECT(Readable(pages), 0);
  EXPECT(CALL4(kRemap, pages, kPageSize, 2 * kPageSize, 1), kBadAddress);
  EXPECT(CALL4(kRemap, moved, 0, kPageSize, 1), kInvalid);
  EXPECT(CALL4(kRemap, moved, kPageSize, 0, 1), kInvalid);
  EXPECT(CALL4(kRemap, moved + 1, kPageSize, kPageSize, 1), kInvalid);
}

static void Break(void) {
  u8* start = (u8*)CALL1(kBreak, 0);
  EXPECT_TRUE((u64)start > 0x400000);
  EXPECT(Readable(start), 0);
  EXPECT(CALL1(kBreak, start + 3 * kPageSize + 5), start + 3 * kPageSize + 5);
  start[0] = 1;
  start[3 * kPageSize + 4] = 2;
  EXPECT(CALL1(kBreak, start + kPageSize), start + kPageSize);
  EXPECT(Readable(start + kPageSize), 0);
  EXPECT(start[0], 1);
  EXPECT(CALL1(kBreak, start + 4 * kPageSize), start + 4 * kPageSize);
  EXPECT(start[3 * kPageSize + 4], 0);
  // It cannot move there.
  EXPECT(CALL1(kBreak, start - kPageSize), start + 4 * kPageSize);
  EXPECT(CALL1(kBreak, ~0ul), start + 4 * kPageSize);
  EXPECT(MapAnonymous((u64)start + 6 * kPageSize, kPageSize, kCanRead, 0x10),
         start + 6 * kPageSize);
  EXPECT(CALL1(kBreak, start + 7 * kPageSize), start + 4 * kPageSize);
  EXPECT(CALL1(kBreak, start + 6 * kPageSize), start + 6 * kPageSize);
}

static void Advise(void) {
  u8* pages = MapAnonymous(0, 3 * kPageSize, kCanRead | kCanWrite, 0);
  pages[0] = pages[kPageSize] = pages[2 * kPageSize] = 5;
  EXPECT(CALL3(kAdvise, pages + kPageSize, kPageSize, 4), 0);
  EXPECT(pages[0], 5);
  EXPECT(pages[kPageSize], 0);
  EXPECT(pages[2 * kPageSize], 5);
  EXPECT(CALL2(kUnmap, pages + 2 * kPageSize, kPageSize), 0);
  EXPECT(CALL3(kAdvise, pages + kPageSize, 2 * kPageSize, 4), kNoMemory);
}

// Many regions, and many of them cut: until the kernel wants no more.
static void Regions(void) {
  u64 size = 16384ul * kPageSize;
  u8* kept = MapAnonymous(0, 3 * kPageSize, kCanRead | kCanWrite, 0);
  for (int i = 0; i < 3; ++i)
    kept[i * kPageSize] = (u8)(i + 1);
  u8* pages = MapAnonymous(0, size, kCanRead, 0);
  EXPECT_TRUE((long)pages > 0);
  long refused = 0;
  for (u64 i = 0; i < 16384 && !refused; i += 2)
    refused = CALL3(kProtect, pages + i * kPageSize, kPageSize, 0);
  EXPECT(refused, kNoMemory);
  // What cannot move stays whole. The last page has nothing behind it.
  EXPECT(CALL4(kRemap, kept + kPageSize, kPageSize, 4 * kPageSize, 1),
         kNoMemory);
  for (int i = 0; i < 3; ++i)
    EXPECT(kept[i * kPageSize], i + 1);
  u8* moved = (u8*)CALL4(kRemap, kept, 3 * kPageSize, 9 * kPageSize, 1);
  EXPECT_TRUE((long)moved > 0);
  for (int i = 0; i < 9; ++i)
    EXPECT(moved[i * kPageSize], i < 3 ? i + 1 : 0);
  EXPECT(CALL3(kProtect, pages, kPageSize, kCanRead), 0);
  EXPECT(CALL2(kUnmap, pages, size), 0);
  EXPECT_TRUE((long)MapAnonymous(0, kPageSize, kCanRead, 0) > 0);
}

// Takes memory by calls, which answer when there is no more.
static u64 Fill(void) {
  u64 size = 1ul << 30;
  u8* pages = MapAnonymous(0, size, kCanRead | kCanWrite, 0);
  EXPECT_TRUE((long)pages > 0);
  u64 count = 0;
  while (CALL3(kRandom, pages + count * kPageSize, 1, 0) == 1)
    ++count;
  EXPECT_TRUE(count > 0 && count < size / kPageSize);
  // Giving some back makes room again; cores keep a few free frames aside.
  EXPECT(CALL2(kUnmap, pages, 100 * kPageSize), 0);
  u64 again = 0;
  while (CALL3(kRandom, pages + (count + again) * kPageSize, 1, 0) == 1)
    ++again;
  EXPECT_TRUE(again >= 50 && again <= 132);
  return count;
}

static void WaitForEver(void* word) {
  for (;;)
    WaitWhile(word, 0);
}

// Moves pages when there is no memory for the tables at the other end.
static void MoveStarved(void) {
  enum { kSpan = 8, kStep = 2 << 20 };
  u8* pages = MapAnonymous(0, kSpan * kStep, kCanRead | kCanWrite, 0);
  EXPECT_TRUE((long)MapAnonymous((u64)pages + kSpan * kStep, kPageSize,
                                 kCanRead, 0x10) > 0);
  for (u64 i = 0; i < kSpan; ++i)
    pages[i * kStep] = (u8)(i + 1);
  u8* rest = MapAnonymous(0, 1ul << 30, kCanRead | kCanWrite, 0);
  u64 count = 0;
  while (CALL3(kRandom, rest + count * kPageSize, 1, 0) == 1)
    ++count;
  // With a little more each time, until there is enough.
  long moved;
  u64 refusals = 0;
  while ((moved = CALL4(kRemap, pages, kSpan * kStep, 2 * kSpan * kStep, 1)) ==
         kNoMemory) {
    ++refusals;
    for (u64 i = 0; i < kSpan; ++i)
      EXPECT(pages[i * kStep], i + 1);
    EXPECT(CALL2(kUnmap, rest + --count * kPageSize, kPageSize), 0);
  }
  EXPECT_TRUE(moved > 0 && refusals > 0);
  for (u64 i = 0; i < kSpan; ++i)
    EXPECT(((u8*)moved)[i * kStep], i + 1);
}

// Everything that makes the kernel keep something, with no memory left.
static void Starve(void) {
  static u8 stacks[64][512] __attribute__((aligned(16)));
  static u32 alive[64], zero;
  for (int i = 0; i < 64; ++i)
    stacks[i][0] = 1;
  Fill();
  for (int i = 0; i < 300; ++i) {
    int ends[2];
    CALL2(kPipe2, ends, 0x800);
    CALL4(kSocketPair, 1, 0x801, 0, ends);
    CALL2(290, 0, 0x800);
    CALL1(291, 0);
    MapAnonymous(0, (u64)(2 * i + 1) * kPageSize, i & 1 ? kCanRead : 0, 0);
    CALL4(257, -100, "/tmp/file", 0x42, 0600);
    if (i > 3)
      CALL3(kWrite, i, buffer, sizeof(buffer));
    if (i < 64)
      StartThread(WaitForEver, &zero, stacks[i] + 512, &alive[i]);
    CALL1(kYield, 0);
  }
}

// One page in each table, read only: the tables cost, not the pages.
static void Sparse(void) {
  u64 size = 1ul << 46;
  volatile u8* pages = MapAnonymous(0, size, kCanRead, 0);
  EXPECT_TRUE((long)pages > 0);
  u64 sum = 0;
  for (u64 at = 0; at < size; at += 1ul << 21)
    sum += pages[at];
  EXPECT(sum, 0);
}

int Main(int count, char** arguments) {
  EXPECT(count, 2);
  const char* what = arguments[1];
  if (IS("map"))
    Map();
  if (IS("unmap"))
    Unmap();
  if (IS("protect"))
    Protect();
  if (IS("remap"))
    Remap();
  if (IS("break"))
    Break();
  if (IS("advise"))
    Advise();
  if (IS("regions"))
    Regions();
  if (IS("fill"))
    Fill();
  if (IS("move-starved"))
    MoveStarved();
  if (IS("starve"))
    Starve();
  if (IS("sparse"))
    Sparse();
  if (IS("touch")) {
    // Beyond any limit: the UC is ended while it does this.
    volatile u8* pages = MapAnonymous(0, 1ul << 32, kCanRead | kCanWrite, 0);
    for (u64 at = 0; at < 1ul << 32; at += kPageSize)
      pages[at] = 1;
  }
  if (IS("private")) {
    // Another UC of this program must not see what we write.
    for (u64 i = 0; i < sizeof(buffer); ++i)
      EXPECT(buffer[i], 0);
    for (int round = 0; round < 5; ++round) {
      for (u64 i = 0; i < sizeof(buffer); ++i)
        buffer[i]++;
      CALL1(kYield, 0);
      EXPECT(buffer[0], round + 1);
      EXPECT(buffer[sizeof(buffer) - 1], round + 1);
    }
  }
  return 0;
}
