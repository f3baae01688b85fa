// Threads that wait in every way there is, and one that computes. A snapshot
// may be taken at any moment; request 1 lets all of them go on and end, in the
// original and in every copy.
#include "Requests.h"

enum { kThreads = 8, kStack = 4096 };

static u8 stacks[kThreads][kStack] __attribute__((aligned(16)));
static u32 alive[kThreads];
static u64 locals[kThreads][2];
static long answers[kThreads];
static volatile u32 begun;
static u32 word, silent_word, stop;
static int pipe_ends[2], polled[2], full[2], event, set;
static struct Frame frame;

// What each thread has of its own must be there before and after.
static void Enter(u64 index) {
  locals[index][0] = 1000 + index;
  EXPECT(CALL2(kArchitecture, 0x1002, locals[index]), 0);
  __atomic_add_fetch(&begun, 1, __ATOMIC_RELAXED);
}

static void Leave(u64 index, long answer) {
  u64 local;
  __asm__ volatile("movq %%fs:0, %0" : "=r"(local));
  EXPECT(local, 1000 + index);
  EXPECT(CALL1(kThreadId, 0), index + 2);
  answers[index] = answer;
  EndThread();
}

static void OnFutex(void* unused) {
  (void)unused;
  Enter(0);
  WaitWhile(&word, 0);
  Leave(0, word);
}

static void OnFutexForAWhile(void* unused) {
  (void)unused;
  u64 time[2] = {0, 20000000};
  Enter(1);
  Leave(1, CALL4(kFutex, &silent_word, 0, 0, time));
}

static void Asleep(void* unused) {
  (void)unused;
  u64 time[2] = {0, 15000000}, before = Nanoseconds();
  Enter(2);
  long answer = CALL2(kSleep, time, 0);
  EXPECT_TRUE(Nanoseconds() - before >= time[1]);
  Leave(2, answer);
}

static void OnPipe(void* unused) {
  (void)unused;
  u8 bytes[8] = {0};
  Enter(3);
  EXPECT(CALL3(kRead, pipe_ends[0], bytes, sizeof(bytes)), 3);
  Leave(3, bytes[0] + bytes[1] + bytes[2]);
}

struct PollEntry {
  int number;
  short events, ready;
};

static void OnPoll(void* unused) {
  (void)unused;
  struct PollEntry entry = {polled[0], 1, 0};
  Enter(4);
  EXPECT(CALL3(kPoll, &entry, 1, -1), 1);
  Leave(4, entry.ready);
}

static void OnEpoll(void* unused) {
  (void)unused;
  struct {
    u32 events;
    u64 data;
  } __attribute__((packed)) ready = {0, 0};
  Enter(5);
  EXPECT(CALL4(232, set, &ready, 1, -1), 1);
  Leave(5, (long)ready.data);
}

static void OnFullPipe(void* unused) {
  (void)unused;
  u8 byte = 9;
  Enter(6);
  Leave(6, CALL3(kWrite, full[1], &byte, 1));
}

// Counts in an integer and in a vector register.
static void Computing(void* unused) {
  (void)unused;
  double sum = 0, one = 1;
  u64 count = 0;
  Enter(7);
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    for (int i = 0; i < 1000; ++i) {
      ++count;
      __asm__ volatile("addsd %1, %0" : "+x"(sum) : "x"(one));
    }
  }
  EXPECT(count, (u64)sum);
  Leave(7, 7);
}

static void (*const functions[kThreads])(void*) = {
    OnFutex, OnFutexForAWhile, Asleep,     OnPipe,
    OnPoll,  OnEpoll,          OnFullPipe, Computing};

static void Prepare(void) {
  static u8 bytes[kPageSize];
  OpenReport();
  EXPECT(CALL2(kPipe2, pipe_ends, 0), 0);
  EXPECT(CALL2(kPipe2, polled, 0), 0);
  EXPECT(CALL2(kPipe2, full, 0x800), 0);
  long written;
  while ((written = CALL3(kWrite, full[1], bytes, sizeof(bytes))) > 0)
    report[1] += (u64)written;
  EXPECT(written, kAgain);
  EXPECT(CALL3(72, full[1], 4, 1), 0);
  event = (int)CALL2(290, 0, 0);
  set = (int)CALL1(291, 0);
  struct {
    u32 events;
    u64 data;
  } __attribute__((packed)) interest = {1, 555};
  EXPECT(CALL4(233, set, 1, event, &interest), 0);
  for (int i = 0; i < kThreads; ++i)
    EXPECT(StartThread(functions[i], 0, stacks[i] + kStack, &alive[i]), i + 2);
}

static void LetGo(void) {
  static u8 bytes[1 << 16];
  u64 one = 1;
  while (begun < kThreads)
    CALL1(kYield, 0);
  word = 77;
  Wake(&word, 9);
  EXPECT(CALL3(kWrite, pipe_ends[1], "\1\2\3", 3), 3);
  EXPECT(CALL3(kWrite, polled[1], "x", 1), 1);
  EXPECT(CALL3(kWrite, event, &one, 8), 8);
  EXPECT(CALL3(kRead, full[0], bytes, sizeof(bytes)), sizeof(bytes));
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < kThreads; ++i)
    WaitWhile(&alive[i], 1);
  static const long expected[kThreads] = {77, kTimedOut, 0, 6, 1, 555, 1, 7};
  for (int i = 0; i < kThreads; ++i)
    EXPECT(answers[i], expected[i]);
}

int Main(int count, char** arguments) {
  (void)arguments;
  EXPECT(count, 1);
  Prepare();
  EXPECT(CALL3(kRead, kChannel, &frame, kFrameSize), kFrameSize);
  LetGo();
  return 21;
}
