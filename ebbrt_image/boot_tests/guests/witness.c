// Fills everything a UC has with known values, then checks or changes all of it
// as requests ask: whatever a snapshot forgets or clones share is found.
#include "Requests.h"

// The low byte of a request; what lies above is its argument. As in
// boot_tests/Witness.h.
enum {
  kCheck = 1,     // all is as Mark(argument) left it
  kMark = 2,      // changes all
  kFinish = 3,    // ends with status `argument`
  kSelf = 4,      // captures itself
  kStep = 5,      // runs over the breakpoint
  kTouch = 6,     // writes `argument` pages
  kShuffle = 7,   // moves, drops and maps pages anew
  kShuffled = 8,  // all is as kShuffle left it
  kFlood = 9,     // a thread writes more than a pipe holds
  kDrain = 10,    // reads what it wrote
  kReply = 11,    // gives bytes that depend on all of its memory
};

enum { kWords = kPageSize / 8, kPages = 48, kBits = 97, kRounds = 300000 };

static u64 pages[kPages][kWords] __attribute__((aligned(4096)));
static u64 extra[600][kWords] __attribute__((aligned(4096)));
static const u64 constant[kWords] __attribute__((aligned(4096))) = {77};
static u64 local[2][4] __attribute__((aligned(64)));
static struct Frame frame;
static u64 mark;
static u8 *heap, *mapped;
static int diary, diary_copy, orphan, ends[2], pair[2], event, set;

struct Registers {
  u64 general[12];
  u8 xmm[16][16];
  double pi;
  u32 mxcsr, control;
};
struct Registers wanted, got;

// read() with all registers set, and what is in them afterwards.
long ReadKeeping(long descriptor, void* buffer, u64 size);
// Sets registers, passes the breakpoint, stores registers.
void Step(void);
extern const u8 step_here[];

__asm__(
    ".macro LOAD_XMM n\n"
    "  movups wanted + 96 + 16 * \\n, %xmm\\n\n"
    ".endm\n"
    ".macro STORE_XMM n\n"
    "  movups %xmm\\n, got + 96 + 16 * \\n\n"
    ".endm\n"
    ".macro LOAD_ALL\n"
    "  movq wanted, %rbx\n"
    "  movq wanted + 8, %rbp\n"
    "  movq wanted + 16, %r8\n"
    "  movq wanted + 24, %r9\n"
    "  movq wanted + 32, %r10\n"
    "  movq wanted + 40, %r12\n"
    "  movq wanted + 48, %r13\n"
    "  movq wanted + 56, %r14\n"
    "  movq wanted + 64, %r15\n"
    "  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "  LOAD_XMM \\n\n"
    "  .endr\n"
    "  ldmxcsr wanted + 360\n"
    "  fldcw wanted + 364\n"
    "  fldpi\n"
    ".endm\n"
    ".macro STORE_ALL\n"
    "  movq %rbx, got\n"
    "  movq %rbp, got + 8\n"
    "  movq %r8, got + 16\n"
    "  movq %r9, got + 24\n"
    "  movq %r10, got + 32\n"
    "  movq %r12, got + 40\n"
    "  movq %r13, got + 48\n"
    "  movq %r14, got + 56\n"
    "  movq %r15, got + 64\n"
    "  movq %rdi, got + 72\n"
    "  movq %rsi, got + 80\n"
    "  movq %rdx, got + 88\n"
    "  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "  STORE_XMM \\n\n"
    "  .endr\n"
    "  fstpl got + 352\n"
    "  stmxcsr got + 360\n"
    "  fnstcw got + 364\n"
    "  fninit\n"
    "  pushq $0x1f80\n"
    "  ldmxcsr (%rsp)\n"
    "  popq %rcx\n"
    ".endm\n"
    ".macro SAVED do, a, b, c, d, e, f\n"
    "  \\do \\a\n  \\do \\b\n  \\do \\c\n  \\do \\d\n  \\do \\e\n  \\do \\f\n"
    ".endm\n"
    "ReadKeeping:\n"
    "  SAVED pushq %rbx %rbp %r12 %r13 %r14 %r15\n"
    "  LOAD_ALL\n"
    "  xorl %eax, %eax\n"
    "  syscall\n"
    "  STORE_ALL\n"
    "  SAVED popq %r15 %r14 %r13 %r12 %rbp %rbx\n"
    "  ret\n"
    "Step:\n"
    "  SAVED pushq %rbx %rbp %r12 %r13 %r14 %r15\n"
    "  LOAD_ALL\n"
    "  movq wanted + 72, %rdi\n"
    "  movq wanted + 80, %rsi\n"
    "  movq wanted + 88, %rdx\n"
    "  movl $5, %ecx\n"
    ".globl step_here\n"
    "step_here:\n"
    "  addl $1, %ecx\n"
    "  movl %ecx, 0x20000000 + 8 * 4\n"
    "  STORE_ALL\n"
    "  SAVED popq %r15 %r14 %r13 %r12 %rbp %rbx\n"
    "  ret\n");

static void SetWanted(void) {
  for (u64 i = 0; i < 12; ++i)
    wanted.general[i] = 0x1111111111111111 * (i + 1);
  for (u64 i = 0; i < 16; ++i)
    for (u64 j = 0; j < 16; ++j)
      wanted.xmm[i][j] = (u8)(i * 16 + j + 1);
  wanted.mxcsr = 0xdf80;   // rounds up, flushes to zero
  wanted.control = 0x77f;  // rounds down
  wanted.pi = 3.141592653589793;
}

static void CheckRegisters(u64 first, u64 end) {
  for (u64 i = first; i < end; ++i)
    EXPECT(got.general[i], wanted.general[i]);
  for (u64 i = 0; i < 16; ++i)
    for (u64 j = 0; j < 16; ++j)
      EXPECT(got.xmm[i][j], wanted.xmm[i][j]);
  EXPECT(got.mxcsr & ~0x3fu, wanted.mxcsr);
  EXPECT((unsigned short)got.control, wanted.control);
  EXPECT(*(u64*)&got.pi, *(u64*)&wanted.pi);
}

static u64 Value(u64 place) {
  return (place + 1) * 0x9e3779b97f4a7c15 + mark * 1000003;
}

static void FillWords(u64* words, u64 place) {
  for (u64 i = 0; i < kWords; i += kBits)
    words[i] = Value(place * kWords + i);
}

static void CheckWords(const u64* words, u64 place) {
  for (u64 i = 0; i < kWords; i += kBits)
    EXPECT(words[i], Value(place * kWords + i));
}

// 0 or an error, as the kernel sees the byte.
static long KernelReads(const void* address) {
  long answer = CALL3(kWrite, pair[0], address, 1);
  u8 byte;
  if (answer == 1)
    EXPECT(CALL3(kRead, pair[1], &byte, 1), 1);
  return answer == 1 ? 0 : answer;
}
static long KernelWrites(void* address) {
  long answer = CALL3(kRandom, address, 1, 0);
  return answer == 1 ? 0 : answer;
}

static const char* MarkName(u64 number) {
  static char name[] = "mark-000";
  for (int i = 7; i > 4; --i, number /= 10)
    name[i] = (char)('0' + number % 10);
  return name;
}

static void FillFiles(void) {
  u64 text[8];
  for (u64 i = 0; i < 8; ++i)
    text[i] = Value(5000 + i);
  // Three pages with holes, and the position behind the second word.
  for (u64 at = 0; at < 3; ++at)
    EXPECT(CALL4(18, diary, text, sizeof(text), at * 5000), sizeof(text));
  EXPECT(CALL3(8, diary, 16 + mark, 0), 16 + mark);
  EXPECT(CALL4(18, orphan, text, sizeof(text), 100), sizeof(text));
  int fd = (int)CALL3(2, MarkName(mark), 0x42, 0600);
  EXPECT_TRUE(fd >= 0);
  EXPECT(CALL1(kClose, fd), 0);
  EXPECT(CALL3(kWrite, ends[1], text, sizeof(text)), sizeof(text));
  u64 count = 5 + mark;
  EXPECT(CALL3(kWrite, event, &count, 8), 8);
}

static void Drain(void) {
  u64 text[9], count;
  EXPECT(CALL3(kRead, ends[0], text, sizeof(text)), 64);
  for (u64 i = 0; i < 8; ++i)
    EXPECT(text[i], Value(5000 + i));
  EXPECT(CALL3(kRead, event, &count, 8), 8);
  EXPECT(count, 5 + mark);
}

static void CheckFiles(void) {
  u64 text[8];
  for (u64 at = 0; at < 3; ++at) {
    EXPECT(CALL4(17, diary, text, sizeof(text), at * 5000), sizeof(text));
    for (u64 i = 0; i < 8; ++i)
      EXPECT(text[i], Value(5000 + i));
  }
  EXPECT(CALL4(17, orphan, text, sizeof(text), 100), sizeof(text));
  EXPECT(text[0], Value(5000));
  // The copy shares the position with the first.
  EXPECT(CALL3(8, diary, 0, 1), 16 + mark);
  EXPECT(CALL3(8, diary_copy, 1, 1), 17 + mark);
  EXPECT(CALL3(8, diary, -1, 1), 16 + mark);
  EXPECT(CALL2(72, diary_copy, 1), 1);
  EXPECT(CALL2(72, diary, 1), 0);
  for (u64 i = 0; i < 8; ++i)
    EXPECT(CALL2(21, MarkName(i), 0), i == mark || i == 0 ? 0 : -2);
  struct {
    u32 events;
    u64 data;
  } __attribute__((packed)) ready[4];
  EXPECT(CALL4(232, set, ready, 4, 0), 1);
  EXPECT(ready[0].data, 4242);
  Drain();
  EXPECT(CALL4(232, set, ready, 4, 0), 0);
  EXPECT(CALL3(kRead, ends[0], text, 1), kAgain);
  EXPECT(CALL3(kWrite, ends[1], text, 0), 0);
  for (u64 i = 0; i < 8; ++i)
    text[i] = Value(5000 + i);
  EXPECT(CALL3(kWrite, ends[1], text, sizeof(text)), sizeof(text));
  u64 count = 5 + mark;
  EXPECT(CALL3(kWrite, event, &count, 8), 8);
  // What is there is enough for a vector of which it fills the first part.
  struct {
    void* at;
    u64 size;
  } parts[2] = {{text, 4}, {text + 1, 4}};
  EXPECT(CALL3(kWrite, pair[0], "four", 4), 4);
  EXPECT(CALL3(19, pair[1], parts, 2), 4);
  char directory[64];
  EXPECT(CALL2(79, directory, sizeof(directory)), 10);
  EXPECT_TRUE(Same(directory, "/tmp/room"));
  EXPECT(CALL1(95, 027), 027);
}

static void CheckRest(void) {
  u64 base, old[4], signals;
  EXPECT(CALL2(kArchitecture, 0x1003, &base), 0);
  EXPECT(base, local[0]);
  EXPECT(CALL2(kArchitecture, 0x1004, &base), 0);
  EXPECT(base, local[1]);
  u64 from_fs, from_gs;
  __asm__("movq %%fs:0, %0; movq %%gs:8, %1" : "=r"(from_fs), "=r"(from_gs));
  EXPECT(from_fs, Value(1));
  EXPECT(from_gs, Value(2));
  EXPECT(CALL4(13, 10, 0, old, 8), 0);
  EXPECT(old[0], 0x123456 + mark);
  EXPECT(CALL4(14, 0, 0, &signals, 8), 0);
  EXPECT(signals, 0x10000 << mark);
  EXPECT(CALL1(kThreadId, 0), 1);
}

static void SetRest(void) {
  u64 action[4] = {0x123456 + mark, 0, 0, 0}, signals = 0x10000 << mark;
  local[0][0] = Value(1);
  local[1][1] = Value(2);
  EXPECT(CALL4(13, 10, action, 0, 8), 0);
  EXPECT(CALL4(14, 2, &signals, 0, 8), 0);
}

static void FillAll(void) {
  for (u64 i = 0; i < kPages; ++i)
    FillWords(pages[i], i);
  for (u64 i = 0; i < 4; ++i)
    FillWords((u64*)(heap + i * kPageSize), 100 + i);
  FillWords((u64*)mapped, 200);
  FillFiles();
  SetRest();
}

static void CheckAll(void) {
  CheckRegisters(0, 9);
  for (u64 i = 0; i < kPages; ++i)
    CheckWords(pages[i], i);
  for (u64 i = 0; i < 4; ++i)
    CheckWords((u64*)(heap + i * kPageSize), 100 + i);
  EXPECT(CALL1(kBreak, 0), heap + 4 * kPageSize);
  CheckWords((u64*)mapped, 200);
  // One page is read only, one may not be touched, one is a hole, one is fresh.
  EXPECT(*(u64*)(mapped + kPageSize), 4711);
  EXPECT(KernelWrites(mapped + kPageSize), kBadAddress);
  EXPECT(KernelReads(mapped + 2 * kPageSize), kBadAddress);
  EXPECT(KernelReads(mapped + 3 * kPageSize), kBadAddress);
  EXPECT(*(u64*)(mapped + 4 * kPageSize), 0);
  EXPECT(constant[0], 77);
  EXPECT(KernelWrites((void*)constant), kBadAddress);
  CheckFiles();
  CheckRest();
}

static void Prepare(void) {
  OpenReport();
  SetWanted();
  heap = (u8*)CALL1(kBreak, 0);
  EXPECT((u64)heap % kPageSize, 0);
  EXPECT(CALL1(kBreak, heap + 4 * kPageSize), heap + 4 * kPageSize);
  mapped = MapAnonymous(0, 5 * kPageSize, kCanRead | kCanWrite, 0);
  *(u64*)(mapped + kPageSize) = 4711;
  *(u64*)(mapped + 2 * kPageSize) = 1;
  EXPECT(CALL3(kProtect, mapped + kPageSize, kPageSize, kCanRead), 0);
  EXPECT(CALL3(kProtect, mapped + 2 * kPageSize, kPageSize, 0), 0);
  EXPECT(CALL2(kUnmap, mapped + 3 * kPageSize, kPageSize), 0);
  EXPECT(CALL2(83, "/tmp/room", 0700), 0);
  EXPECT(CALL1(80, "/tmp/room"), 0);
  diary = (int)CALL3(2, "diary", 0x42, 0600);
  diary_copy = (int)CALL3(72, diary, 1030, 40);
  EXPECT(diary_copy, 40);
  orphan = (int)CALL3(2, "orphan", 0x42, 0600);
  EXPECT(CALL1(87, "orphan"), 0);
  EXPECT(CALL2(kPipe2, ends, 0x800), 0);
  EXPECT(CALL4(kSocketPair, 1, 1, 0, pair), 0);
  event = (int)CALL2(290, 0, 0x800);
  set = (int)CALL1(291, 0);
  EXPECT_TRUE(diary >= 0 && orphan >= 0 && event >= 0 && set >= 0);
  struct {
    u32 events;
    u64 data;
  } __attribute__((packed)) interest = {1, 4242};
  EXPECT(CALL4(233, set, 1, ends[0], &interest), 0);
  CALL1(95, 027);
  EXPECT(CALL2(kArchitecture, 0x1002, local[0]), 0);
  EXPECT(CALL2(kArchitecture, 0x1001, local[1]), 0);
  FillAll();
  report[0] = (u64)step_here;
}

// What pages show that were borrowed, after calls that change where.
static u64* moved;

static void Shuffle(void) {
  u8* at = (u8*)pages;
  // Dropped and read: zeroes. Dropped, never looked at: zeroes as well.
  EXPECT(CALL3(kAdvise, at + 4 * kPageSize, 2 * kPageSize, 4), 0);
  EXPECT(pages[4][0], 0);
  // Mapped anew and read.
  EXPECT(MapAnonymous((u64)at + 8 * kPageSize, 2 * kPageSize, kCanRead, 0x10),
         at + 8 * kPageSize);
  EXPECT(pages[8][0], 0);
  // Moved away, as they are.
  moved =
      (u64*)CALL4(kRemap, at + 12 * kPageSize, 2 * kPageSize, 4 * kPageSize, 1);
  EXPECT_TRUE((long)moved > 0);
  // Unmapped; protected.
  EXPECT(CALL2(kUnmap, at + 16 * kPageSize, kPageSize), 0);
  EXPECT(CALL3(kProtect, at + 18 * kPageSize, kPageSize, 0), 0);
  EXPECT(CALL3(kProtect, at + 20 * kPageSize, kPageSize, kCanRead), 0);
}

static void CheckShuffled(void) {
  u8* at = (u8*)pages;
  for (u64 i = 0; i < kPages; ++i) {
    if (i == 4 || i == 5 || i == 8 || i == 9)
      for (u64 j = 0; j < kWords; ++j)
        EXPECT(pages[i][j], 0);
    else if (i == 12 || i == 13 || i == 16 || i == 18)
      EXPECT(KernelReads(at + i * kPageSize), kBadAddress);
    else
      CheckWords(pages[i], i);
  }
  EXPECT(KernelWrites(at + 8 * kPageSize), kBadAddress);
  EXPECT(KernelWrites(at + 20 * kPageSize), kBadAddress);
  CheckWords(moved, 12);
  CheckWords(moved + kWords, 13);
  EXPECT(moved[2 * kWords], 0);
  EXPECT(moved[3 * kWords], 0);
}

// A kilobyte in the second half of the report.
static void Reply(u64 argument) {
  u64 state = argument;
  u64* reply = report + kWords / 2;
  for (u64 i = 0; i < kWords / 4; ++i) {
    const u64* page = pages[i % kPages];
    for (u64 j = 0; j < kWords; ++j)
      state = (state ^ page[j]) * 0x100000001b3 + j;
    EXPECT(CALL4(17, diary, reply + i, 8, i % 8 * 8), 8);
    reply[i] ^= state;
  }
}

static int flood[2];
static u8 flood_stack[4096] __attribute__((aligned(16)));
static u8 flood_bytes[kRounds];
static u32 flooding;

static void WriteFlood(void* unused) {
  (void)unused;
  EXPECT(CALL3(kWrite, flood[1], flood_bytes, kRounds), kRounds);
  EndThread();
}

static void StartFlood(void) {
  for (u64 i = 0; i < kRounds; ++i)
    flood_bytes[i] = (u8)(i * 7 + i / 256);
  EXPECT(CALL2(kPipe2, flood, 0), 0);
  EXPECT_TRUE(StartThread(WriteFlood, 0, flood_stack + sizeof(flood_stack),
                          &flooding) > 0);
}

static void DrainFlood(void) {
  u8 bytes[1000];
  for (u64 at = 0; at < kRounds;) {
    long count = CALL3(kRead, flood[0], bytes, sizeof(bytes));
    EXPECT_TRUE(count > 0);
    for (long i = 0; i < count; ++i, ++at)
      EXPECT(bytes[i], (u8)(at * 7 + at / 256));
  }
  WaitWhile(&flooding, 1);
  CALL1(kClose, flood[0]);
  CALL1(kClose, flood[1]);
}

int Main(int count, char** arguments) {
  (void)arguments;
  EXPECT(count, 1);
  Prepare();
  for (;;) {
    EXPECT(ReadKeeping(kChannel, &frame, kFrameSize), kFrameSize);
    u64 argument = frame.id >> 8;
    switch (frame.id & 0xff) {
    case kCheck:
      EXPECT(mark, argument);
      CheckAll();
      break;
    case kMark:
      Drain();
      EXPECT(argument > 0 && argument < 8, 1);
      if (mark > 0)
        EXPECT(CALL1(87, MarkName(mark)), 0);
      mark = argument;
      FillAll();
      break;
    case kFinish:
      return (int)argument;
    case kSelf:
      report[1] = (u64)CALL1(kCaptureSelf, 0);
      break;
    case kStep:
      for (u64 i = 0; i < argument; ++i) {
        Step();
        ++report[5];
      }
      CheckRegisters(0, 12);
      break;
    case kTouch:
      for (u64 i = 0; i < argument; ++i)
        extra[i][0] += 1;
      report[2] = extra[argument - 1][0];
      break;
    case kShuffle:
      Shuffle();
      break;
    case kShuffled:
      CheckShuffled();
      break;
    case kFlood:
      StartFlood();
      break;
    case kDrain:
      DrainFlood();
      break;
    case kReply:
      Reply(argument);
      break;
    default:
      return 99;
    }
    Answer(frame.id);
  }
}
