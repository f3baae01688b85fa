// Tries to get at what is not its own, by scenario. Ends with status 0 if
// nothing gave way.
#include "Requests.h"

#define IS(name) Same(what, name)

enum { kWords = kPageSize / 8 };

static u8 stacks[200][512] __attribute__((aligned(16)));
static u32 alive[200];

static void ExpectZeroes(const u64* words, u64 count) {
  for (u64 i = 0; i < count; ++i)
    EXPECT(words[i], 0);
}

// Memory in every form the kernel gives it: nothing of others is in there.
static void Scavenge(void) {
  static u64 buffer[kWords];
  u64 pages = 2000;
  u64* fresh =
      (u64*)MapAnonymous(0, pages * kPageSize, kCanRead | kCanWrite, 0);
  for (u64 i = 0; i < pages; ++i) {
    ExpectZeroes(fresh + i * kWords + 1, kWords - 1);
    fresh[i * kWords] = 1;
    ExpectZeroes(fresh + i * kWords + 1, kWords - 1);
  }
  u64* heap = (u64*)CALL1(kBreak, 0);
  EXPECT(CALL1(kBreak, heap + 100 * kWords), heap + 100 * kWords);
  ExpectZeroes(heap, 100 * kWords);
  // A file that grows without being written, and one with a byte in each page.
  int file = (int)CALL3(2, "/tmp/file", 0x42, 0600);
  EXPECT(CALL2(77, file, 50 * kPageSize), 0);
  for (u64 i = 0; i < 50; ++i) {
    if (i % 2)
      EXPECT(CALL4(18, file, "x", 1, i * kPageSize), 1);
    EXPECT(CALL4(17, file, buffer, kPageSize, i * kPageSize), kPageSize);
    ExpectZeroes(buffer + 1, kWords - 1);
  }
  // Registers of a new thread, and what no call may leave in others' buffers.
  int ends[2];
  EXPECT(CALL2(kPipe2, ends, 0x800), 0);
  buffer[0] = 0;
  EXPECT(CALL3(kRead, ends[0], buffer, kPageSize), kAgain);
  ExpectZeroes(buffer, kWords);
}

// Names under which systems show memory.
static void OpenDoors(void) {
  static const char* const doors[] = {
      "/dev/mem",  "/dev/kmem",   "/proc/self/mem", "/proc/1/mem",
      "/dev/port", "/proc/kcore", "/dev/vda",       "/../../dev/mem"};
  for (u64 i = 0; i < sizeof(doors) / sizeof(doors[0]); ++i)
    EXPECT_TRUE(CALL3(2, doors[i], 2, 0) < 0);
  // ioperm, iopl, ptrace, reading others' memory, modules, new roots.
  static const int calls[] = {173, 172, 101, 310, 311, 175, 313, 165, 161, 246};
  for (u64 i = 0; i < sizeof(calls) / sizeof(calls[0]); ++i)
    EXPECT_TRUE(Call(calls[i], 1, 2, 3, 4, 5, 6) < 0);
}

// A neighbour's page, by the kernel's address of it, with the kernel's help.
static void AskKernel(u64 address) {
  int ends[2];
  u64 pair[2] = {address, 8};
  EXPECT(CALL2(kPipe2, ends, 0x800), 0);
  EXPECT(CALL3(kWrite, ends[1], address, 8), kBadAddress);
  EXPECT(CALL3(20, ends[1], pair, 1), kBadAddress);
  EXPECT(CALL3(kWrite, ends[1], "12345678", 8), 8);
  EXPECT(CALL3(kRead, ends[0], address, 8), kBadAddress);
  EXPECT(CALL3(kRandom, address, 8, 0), kBadAddress);
  EXPECT(CALL2(kClockTime, 1, address), kBadAddress);
  EXPECT(CALL4(kFutex, address, 0, 0, 0), kBadAddress);
  EXPECT_TRUE(
      (long)MapAnonymous(address & ~0xffful, kPageSize, kCanRead, 0x10) < 0);
  EXPECT_TRUE(CALL3(kProtect, address & ~0xffful, kPageSize, 7) < 0);
  EXPECT_TRUE(CALL2(kUnmap, address & ~0xffful, kPageSize) < 0);
  EXPECT_TRUE(CALL3(kAdvise, address & ~0xffful, kPageSize, 4) < 0);
}

static void Multiply(void* unused) {
  (void)unused;
  for (;;) {
    EXPECT(CALL1(57, 0), kNoCall);
    EXPECT(CALL1(58, 0), kNoCall);
    for (int i = 0; i < 200; ++i)
      if (!__atomic_exchange_n(&alive[i], 1, __ATOMIC_RELAXED)) {
        long answer = StartThread(Multiply, 0, stacks[i] + 512, &alive[i]);
        EXPECT_TRUE(answer > 0 || answer == kAgain);
      }
  }
}

static void WaitForEver(void* word) {
  for (;;)
    WaitWhile(word, 1);
}

// So many threads that all wait.
static void Crowd(u64 count) {
  static u32 word = 1;
  for (u64 i = 0; i < count; ++i)
    EXPECT_TRUE(StartThread(WaitForEver, &word, stacks[i] + 512, &alive[i]) >
                0);
}

static void ReadAndEnd(void* unused) {
  static struct Frame frame;
  (void)unused;
  EXPECT(CALL3(kRead, kChannel, &frame, kFrameSize), kFrameSize);
  CALL1(kExitGroup, 0);
}

// Fills one pipe after the other until memory is short; what they took.
static u64 PipeAll(void) {
  static u8 bytes[1 << 16];
  u64 piped = 0;
  for (;;) {
    int ends[2];
    EXPECT(CALL2(kPipe2, ends, 0x800), 0);
    long answer = CALL3(kWrite, ends[1], bytes, sizeof(bytes));
    if (answer == kNoMemory)
      return piped;
    EXPECT(answer, sizeof(bytes));
    piped += sizeof(bytes);
  }
}

// All that /tmp takes, then all that pipes take, then memory.
static void FillAll(void) {
  static u8 bytes[1 << 16];
  enum { kNoSpace = -28 };
  int file = (int)CALL3(2, "/tmp/all", 0x42, 0600);
  u64 size = 0;
  long answer;
  while ((answer = CALL3(kWrite, file, bytes, kPageSize)) == kPageSize)
    size += kPageSize;
  EXPECT(answer, kNoSpace);
  // Files have half, pipes what is left, and then what the file gives back.
  u64 beside = PipeAll();
  EXPECT(CALL2(77, file, 0), 0);
  u64 after = PipeAll();
  EXPECT_TRUE(size > 1 << 20 && beside > size / 2 && after > size / 2);
  u8* pages = MapAnonymous(0, 64 * kPageSize, kCanRead | kCanWrite, 0);
  for (int i = 0; i < 64; ++i)
    pages[i * kPageSize] = 1;
}

static int RequestWaits(void) {
  struct {
    int number;
    short events, ready;
  } entry = {kChannel, 1, 0};
  EXPECT_TRUE(CALL3(kPoll, &entry, 1, 0) >= 0);
  return entry.ready & 1;
}

// Frames of every type but two, with ids of whoever may have a request.
static void SendAllBut(int type, int other) {
  for (u64 forged = 0; forged < 40; ++forged)
    for (int kind = 0; kind < 0x90; ++kind)
      if (kind != type && kind != other)
        EXPECT(SendFrame(kind, forged), kInvalid);
}

// Answers before a request is read and when it is answered, by another's name,
// of another kind; and frames that only kernels send.
static void Forge(u64 first) {
  enum { kLoad = 3, kReady = 0x81, kLoaded = 0x83, kResult, kError };
  struct Frame frame;
  // Once.
  EXPECT(SendFrame(kReady, 0), kFrameSize);
  SendAllBut(kResult, kError);
  // The next one waits until this one is answered.
  EXPECT(RequestWaits(), 0);
  EXPECT(SendFrame(kResult, first + 16), kFrameSize);
  EXPECT(RequestWaits(), 1);
  SendAllBut(0, 0);
  EXPECT(CALL3(kRead, kChannel, &frame, kFrameSize), kFrameSize);
  EXPECT(frame.type, kLoad);
  SendAllBut(kLoaded, kError);
  EXPECT(SendFrame(kLoaded, first), kFrameSize);
  SendAllBut(0, 0);
  EXPECT(CALL3(kRead, kChannel, &frame, kFrameSize), kFrameSize);
  EXPECT(SendFrame(kError, frame.id), kFrameSize);
  SendAllBut(0, 0);
}

static void Hoard(void) {
  u64 size = 1ul << 30;
  u8* pages = MapAnonymous(0, size, kCanRead | kCanWrite, 0);
  // What comes after needs no more.
  u64 count = report[0] = 0;
  while (CALL3(kRandom, pages + count * kPageSize, 1, 0) == 1)
    ++count;
  report[0] = count;
  CALL2(kUnmap, pages, 40 * kPageSize);
}

// More in /tmp than the kernel holds in one piece.
static void FillFiles(u64 megabytes) {
  static u8 bytes[1 << 16];
  for (u64 i = 0; i < sizeof(bytes); ++i)
    bytes[i] = (u8)(i | 1);
  int file = (int)CALL3(2, "/tmp/large", 0x42, 0600);
  for (u64 i = 0; i < megabytes * 16; ++i) {
    EXPECT(CALL3(kWrite, file, bytes, sizeof(bytes)), sizeof(bytes));
  }
}

// Directories in directories, as deep as the kernel lets them be.
static void Nest(void) {
  long made = 0, answer;
  EXPECT(CALL1(80, "/tmp"), 0);
  while ((answer = CALL2(83, "d", 0700)) == 0) {
    EXPECT(CALL1(80, "d"), 0);
    ++made;
  }
  EXPECT_TRUE(made > 100 && answer < 0);
  report[0] = (u64)made;
  static char path[1 << 16];
  answer = CALL2(79, path, sizeof(path));
  EXPECT_TRUE(answer > 0 || answer == -36 || answer == -34);
}

// Sets of events that watch each other, in rings and in a long row.
static void Watch(void) {
  enum { kSets = 120 };
  int sets[kSets];
  struct {
    u32 events;
    u64 data;
  } __attribute__((packed)) interest = {1, 1}, ready[4];
  for (int i = 0; i < kSets; ++i) {
    sets[i] = (int)CALL1(291, 0);
    EXPECT_TRUE(sets[i] >= 0);
    CALL4(233, sets[i], 1, sets[i], &interest);
    if (i > 0)
      CALL4(233, sets[i - 1], 1, sets[i], &interest);
  }
  CALL4(233, sets[kSets - 1], 1, sets[0], &interest);
  int event = (int)CALL2(290, 1, 0);
  EXPECT(CALL4(233, sets[kSets - 1], 1, event, &interest), 0);
  for (int i = 0; i < kSets; ++i) {
    struct {
      int number;
      short events, ready;
    } entry = {sets[i], 1, 0};
    EXPECT_TRUE(CALL3(kPoll, &entry, 1, 0) >= 0);
    EXPECT_TRUE(CALL4(232, sets[i], ready, 4, 0) >= 0);
  }
}

// All that pipes hold, in the kernel's own memory.
static void FillPipes(u64 count) {
  static u8 bytes[1 << 16];
  int ends[2];
  for (u64 i = 0; i < sizeof(bytes); ++i)
    bytes[i] = (u8)(i | 1);
  for (u64 i = 0; i < count; ++i) {
    EXPECT(CALL2(kPipe2, ends, 0x800), 0);
    EXPECT(CALL3(kWrite, ends[1], bytes, sizeof(bytes)), sizeof(bytes));
  }
}

int Main(int count, char** arguments) {
  struct Frame frame;
  EXPECT(count, 2);
  const char* what = arguments[1];
  OpenReport();
  // What it is to do is known when it is let go.
  EXPECT(CALL3(kRead, kChannel, &frame, kFrameSize), kFrameSize);
  if (IS("scavenge"))
    Scavenge();
  if (IS("doors"))
    OpenDoors();
  if (IS("ask-kernel"))
    AskKernel(frame.id);
  if (IS("read"))
    report[0] = *(volatile u64*)frame.id;
  if (IS("write"))
    *(volatile u64*)frame.id = 1;
  if (IS("multiply"))
    Multiply(0);
  if (IS("forge"))
    Forge(frame.id);
  if (IS("fill-all"))
    FillAll();
  if (IS("spin"))
    for (;;)
      __asm__ volatile("");
  if (IS("spin-in-calls"))
    for (;;)
      CALL1(kThreadId, 0);
  if (IS("long-calls")) {
    u64 size = 0x1ffffff;
    u8* pages = MapAnonymous(0, size, kCanRead | kCanWrite, 0);
    if (frame.id == 1)
      CALL3(kRandom, pages, size, 0);
    int file = (int)CALL3(2, "/dev/urandom", 0, 0);
    CALL3(kRead, file, pages, size);
  }
  if (IS("fault-without-end")) {
    u8* pages = MapAnonymous(0, 64 * kPageSize, kCanRead | kCanWrite, 0);
    for (;;) {
      for (u64 i = 0; i < 64; ++i)
        pages[i * kPageSize] = 1;
      CALL3(kAdvise, pages, 64 * kPageSize, 4);
    }
  }
  if (IS("large-file")) {
    FillFiles(frame.id);
    Answer(frame.id);
    EXPECT(CALL3(kRead, kChannel, &frame, kFrameSize), kFrameSize);
  }
  if (IS("nest") || IS("watch")) {
    if (IS("nest"))
      Nest();
    else
      Watch();
    Answer(frame.id);
    EXPECT(CALL3(kRead, kChannel, &frame, kFrameSize), kFrameSize);
  }
  if (IS("crowd")) {
    Crowd(frame.id);
    Answer(frame.id);
    // The reader is the last to run in a copy.
    EXPECT_TRUE(StartThread(ReadAndEnd, 0, stacks[199] + 512, &alive[199]) > 0);
    WaitForEver(&alive[199]);
  }
  if (IS("refuse")) {
    Answer(frame.id);
    // The next request comes, and is never taken.
    for (;;)
      CALL3(kRead, kChannel, 8, kFrameSize);
  }
  if (IS("full-pipes")) {
    FillPipes(frame.id);
    Answer(frame.id);
    EXPECT(CALL3(kRead, kChannel, &frame, kFrameSize), kFrameSize);
  }
  if (IS("hoard")) {
    Hoard();
    Answer(frame.id);
    EXPECT(CALL3(kRead, kChannel, &frame, kFrameSize), kFrameSize);
  }
  return 0;
}
