// Threads, and what they wait for, by scenario.
#include "Guest.h"

#define IS(name) Same(what, name)

enum { kStackSize = 2048, kMaxThreads = 80, kRounds = 300, kChannel = 3 };

static u8 stacks[kMaxThreads][kStackSize] __attribute__((aligned(16)));
static u32 alive[kMaxThreads];
static u32 turn, done, stop;
static u64 counts[4];
static int ends[2];

static long Start(int index, void (*function)(void*), void* argument) {
  return StartThread(function, argument, stacks[index] + kStackSize,
                     &alive[index]);
}

static void Join(int index) {
  WaitWhile(&alive[index], 1);
}

static void WaitForDone(void* unused) {
  (void)unused;
  WaitWhile(&done, 0);
  EndThread();
}

static void Limit(u64 limit) {
  u64 started = 0;
  long answer = 0;
  while (started < kMaxThreads &&
         (answer = Start((int)started, WaitForDone, 0)) > 0)
    ++started;
  EXPECT(answer, kAgain);
  EXPECT(started, limit - 1);
  done = 1;
  Wake(&done, 1000);
  for (u64 i = 0; i < started; ++i)
    Join((int)i);
  // And there is room again.
  EXPECT_TRUE(Start(0, WaitForDone, 0) > 0);
  Join(0);
}

static void Pong(void* unused) {
  (void)unused;
  for (int i = 0; i < kRounds; ++i) {
    WaitWhile(&turn, 0);
    turn = 0;
    Wake(&turn, 1);
  }
  EndThread();
}

static void PingPong(void) {
  EXPECT_TRUE(Start(0, Pong, 0) > 0);
  for (int i = 0; i < kRounds; ++i) {
    turn = 1;
    Wake(&turn, 1);
    WaitWhile(&turn, 1);
  }
  Join(0);
}

static void Futexes(void) {
  u32 word = 5;
  u64 brief[2] = {0, 3000000}, bad[2] = {0, 1000000000};
  EXPECT(CALL4(kFutex, &word, 0, 4, 0), kAgain);
  u64 before = Nanoseconds();
  EXPECT(CALL4(kFutex, &word, 0, 5, brief), kTimedOut);
  EXPECT_TRUE(Nanoseconds() - before >= 3000000);
  EXPECT(CALL4(kFutex, &word, 0, 5, bad), kInvalid);
  EXPECT(CALL4(kFutex, (u64)&word + 1, 0, 5, 0), kInvalid);
  EXPECT(CALL3(kFutex, &word, 1, 10), 0);
  // Absolute, and in the past.
  u64 past[2] = {0, 1};
  EXPECT(CALL6(kFutex, &word, 9, 5, past, 0, ~0u), kTimedOut);
  // Three wait for one word and are moved to another one.
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(Start(i, WaitForDone, 0) > 0);
  EXPECT(CALL6(kFutex, &done, 4, 0, 10, &turn, 1), kAgain);
  for (long moved = 0; moved < 3;) {
    CALL1(kYield, 0);
    moved += CALL6(kFutex, &done, 3, 0, 10, &turn, 0);
  }
  done = 1;
  EXPECT(CALL3(kFutex, &done, 1, 10), 0);
  EXPECT(CALL3(kFutex, &turn, 1, 1), 1);
  EXPECT(CALL3(kFutex, &turn, 1, 10), 2);
  for (int i = 0; i < 3; ++i)
    Join(i);
}

static void Spin(void* counter) {
  volatile u64* count = counter;
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
    ++*count;
  EndThread();
}

// Threads that never give up the core all get their share of it.
static void Slices(void) {
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(Start(i, Spin, &counts[i]) > 0);
  for (int i = 0; i < 3; ++i)
    while (!__atomic_load_n(&counts[i], __ATOMIC_RELAXED))
      ;
  u64 sleep[2] = {0, 5000000};
  CALL2(kSleep, sleep, 0);
  stop = 1;
  for (int i = 0; i < 3; ++i)
    Join(i);
}

// Registers that a switch must keep: SSE, x87, FS base.
static void KeepRegisters(void* argument) {
  u64 id = (u64)argument, own[2] = {id, id}, seen[2] = {0, 0}, fs;
  EXPECT(CALL2(kArchitecture, 0x1002, &own), 0);
  for (int i = 0; i < kRounds; ++i) {
    long number = kYield;
    __asm__ volatile("movups (%2), %%xmm7\n\t"
                     "fildll (%2)\n\t"
                     "syscall\n\t"
                     "fistpll 8(%3)\n\t"
                     "movq %%xmm7, (%3)\n\t"
                     "movq %%fs:0, %1"
                     : "+a"(number), "=&r"(fs)
                     : "r"(own), "r"(seen)
                     : "rcx", "r11", "memory", "xmm7", "st");
    EXPECT(fs, id);
    EXPECT(seen[0], id);
    EXPECT(seen[1], id);
  }
  EndThread();
}

static void Registers(void) {
  for (int i = 0; i < 4; ++i)
    EXPECT_TRUE(Start(i, KeepRegisters, (void*)(u64)(1000 + i)) > 0);
  for (int i = 0; i < 4; ++i)
    Join(i);
}

static void Produce(void* unused) {
  (void)unused;
  u8 bytes[100];
  for (int i = 0; i < kRounds; ++i) {
    for (u64 at = 0; at < sizeof(bytes); ++at)
      bytes[at] = (u8)(i + (int)at);
    EXPECT(CALL3(kWrite, ends[1], bytes, sizeof(bytes)), sizeof(bytes));
    if (i % 7 == 0)
      CALL1(kYield, 0);
  }
  EXPECT(CALL1(kClose, ends[1]), 0);
  EndThread();
}

static void PipeAndPoll(void) {
  struct {
    int number;
    short events, ready;
  } entry;
  EXPECT(CALL2(kPipe2, ends, 0), 0);
  entry.number = ends[0];
  entry.events = 1;
  EXPECT(CALL3(kPoll, &entry, 1, 0), 0);
  u64 before = Nanoseconds();
  EXPECT(CALL3(kPoll, &entry, 1, 3), 0);
  EXPECT_TRUE(Nanoseconds() - before >= 3000000);
  EXPECT_TRUE(Start(0, Produce, 0) > 0);
  u64 total = 0;
  for (;;) {
    EXPECT(CALL3(kPoll, &entry, 1, -1), 1);
    u8 bytes[64];
    long count = CALL3(kRead, ends[0], bytes, sizeof(bytes));
    EXPECT_TRUE(count >= 0);
    if (count == 0)
      break;
    for (long i = 0; i < count; ++i, ++total)
      EXPECT(bytes[i], (u8)(total / 100 + total % 100));
  }
  EXPECT(total, kRounds * 100);
  EXPECT_TRUE(entry.ready & 0x10);
  Join(0);
}

// More than a pipe holds, at one go; the reader is slow.
static void Flood(void* size) {
  u8* bytes = MapAnonymous(0, (u64)size, kCanRead | kCanWrite, 0);
  EXPECT(CALL3(kWrite, ends[1], bytes, size), size);
  EXPECT(CALL1(kClose, ends[1]), 0);
  EndThread();
}

static void FullPipe(void) {
  u64 size = 300000, total = 0;
  u8 bytes[1000];
  EXPECT(CALL2(kPipe2, ends, 0), 0);
  EXPECT_TRUE(Start(0, Flood, (void*)size) > 0);
  long count;
  while ((count = CALL3(kRead, ends[0], bytes, sizeof(bytes))) > 0)
    total += (u64)count;
  EXPECT(count, 0);
  EXPECT(total, size);
  Join(0);
}

static void Sleep(void) {
  for (u64 ms = 1; ms <= 4; ms *= 2) {
    u64 time[2] = {0, ms * 1000000}, before = Nanoseconds();
    EXPECT(CALL2(kSleep, time, 0), 0);
    EXPECT_TRUE(Nanoseconds() - before >= ms * 1000000);
  }
  u64 bad[2] = {0, 1000000000}, negative[2] = {~0ul, 0};
  EXPECT(CALL2(kSleep, bad, 0), kInvalid);
  EXPECT(CALL2(kSleep, negative, 0), kInvalid);
}

static void SpinForEver(void* unused) {
  (void)unused;
  for (;;)
    __asm__ volatile("");
}

int Main(int count, char** arguments) {
  EXPECT_TRUE(count >= 2);
  const char* what = arguments[1];
  if (IS("limit"))
    Limit(ToNumber(arguments[2]));
  if (IS("ping-pong"))
    PingPong();
  if (IS("futexes"))
    Futexes();
  if (IS("slices"))
    Slices();
  if (IS("registers"))
    Registers();
  if (IS("poll"))
    PipeAndPoll();
  if (IS("full-pipe"))
    FullPipe();
  if (IS("sleep"))
    Sleep();
  if (IS("exit-with-threads")) {
    for (int i = 0; i < 5; ++i)
      EXPECT_TRUE(Start(i, i % 2 ? WaitForDone : SpinForEver, 0) > 0);
    CALL1(kYield, 0);
    CALL1(kExitGroup, 3);
  }
  if (IS("last-thread")) {
    // The process ends with its last thread.
    EXPECT_TRUE(Start(0, WaitForDone, 0) > 0);
    done = 1;
    Wake(&done, 1);
    EndThread();
  }
  if (IS("thread-faults")) {
    EXPECT_TRUE(Start(0, (void (*)(void*))8, 0) > 0);
    Join(0);
  }
  if (IS("spin")) {
    u8 frame[32];
    EXPECT(CALL3(kRead, kChannel, frame, sizeof(frame)), sizeof(frame));
    Start(0, SpinForEver, 0);
    Start(1, WaitForDone, 0);
    SpinForEver(0);
  }
  if (IS("wait")) {
    u8 frame[32];
    EXPECT(CALL3(kRead, kChannel, frame, sizeof(frame)), sizeof(frame));
    WaitWhile(&done, 0);
  }
  if (IS("spin-unbounded"))
    SpinForEver(0);
  return 0;
}
