// For the programs that bootable tests run as UCs: static ELF files that make
// raw system calls. C programs define Main; 0 from it means all went well.
#define SYS_EXIT 60
#define SYS_EXIT_GROUP 231
#define SYS_WRITE 1

#ifndef __ASSEMBLER__

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

enum {
  kRead = 0,
  kWrite = 1,
  kClose = 3,
  kPoll = 7,
  kMap = 9,
  kProtect = 10,
  kUnmap = 11,
  kBreak = 12,
  kReadVector = 19,
  kWriteVector = 20,
  kYield = 24,
  kRemap = 25,
  kAdvise = 28,
  kSleep = 35,
  kSocket = 41,
  kConnect = 42,
  kAccept = 43,
  kSendTo = 44,
  kReceiveFrom = 45,
  kSendMessage = 46,
  kReceiveMessage = 47,
  kBind = 49,
  kListen = 50,
  kSocketName = 51,
  kPeerName = 52,
  kSocketPair = 53,
  kSetOption = 54,
  kGetOption = 55,
  kClone = 56,
  kExit = 60,
  kKill = 62,
  kArchitecture = 158,
  kThreadId = 186,
  kFutex = 202,
  kClockTime = 228,
  kExitGroup = 231,
  kAccept4 = 288,
  kPipe2 = 293,
  kSendMultiple = 307,
  kRandom = 318,
};

enum {
  kNotPermitted = -1,
  kBadDescriptor = -9,
  kAgain = -11,
  kNoMemory = -12,
  kBadAddress = -14,
  kExists = -17,
  kInvalid = -22,
  kNoCall = -38,
  kNotSocket = -88,
  kMessageTooLong = -90,
  kNoProtocolOption = -92,
  kNotSupported = -95,
  kAddressFamily = -97,
  kInUse = -98,
  kUnreachable = -101,
  kIsConnected = -106,
  kTimedOut = -110,
  kRefused = -111,
};

enum { kPageSize = 4096 };

static inline long Call(long number, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
  long result;
  register u64 r10 __asm__("r10") = d;
  register u64 r8 __asm__("r8") = e;
  register u64 r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
                     "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

#define CALL1(n, a) Call(n, (u64)(a), 0, 0, 0, 0, 0)
#define CALL2(n, a, b) Call(n, (u64)(a), (u64)(b), 0, 0, 0, 0)
#define CALL3(n, a, b, c) Call(n, (u64)(a), (u64)(b), (u64)(c), 0, 0, 0)
#define CALL4(n, a, b, c, d)                                                   \
  Call(n, (u64)(a), (u64)(b), (u64)(c), (u64)(d), 0, 0)
#define CALL6(n, a, b, c, d, e, f)                                             \
  Call(n, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e), (u64)(f))

static inline u64 Length(const char* text) {
  u64 length = 0;
  while (text[length])
    ++length;
  return length;
}

static inline void Say(const char* text) {
  CALL3(kWrite, 1, text, Length(text));
}

static inline int Same(const char* a, const char* b) {
  while (*a && *a == *b)
    ++a, ++b;
  return *a == *b;
}

static inline void SayNumber(long number) {
  char text[24];
  char* at = text + sizeof(text) - 1;
  u64 rest = number < 0 ? -(u64)number : (u64)number;
  *at = 0;
  do
    *--at = (char)('0' + rest % 10);
  while (rest /= 10);
  if (number < 0)
    *--at = '-';
  Say(at);
}

static inline u64 ToNumber(const char* text) {
  u64 number = 0;
  while (*text >= '0' && *text <= '9')
    number = number * 10 + (u64)(*text++ - '0');
  return number;
}

// Ends the program with status 1 when `actual` is not `expected`.
static inline void ExpectAt(const char* file, int line, long actual,
                            long expected) {
  if (actual == expected)
    return;
  Say(file);
  Say(":");
  SayNumber(line);
  Say(": ");
  SayNumber(actual);
  Say(" instead of ");
  SayNumber(expected);
  Say("\n");
  CALL1(kExitGroup, 1);
}
#define EXPECT(actual, expected)                                               \
  ExpectAt(__FILE__, __LINE__, (long)(actual), (long)(expected))
#define EXPECT_TRUE(condition) EXPECT(!!(condition), 1)

enum { kCanRead = 1, kCanWrite = 2, kCanExecute = 4 };

static inline u8* MapAnonymous(u64 address, u64 size, int protection,
                               int extra_flags) {
  return (u8*)CALL6(kMap, address, size, protection, 0x22 | extra_flags, -1, 0);
}

// A thread that runs function(argument) on `stack_top`, which is aligned to 16
// bytes, and must not return. `alive` is cleared and woken when it has ended.
static inline long StartThread(void (*function)(void*), void* argument,
                               u8* stack_top, u32* alive) {
  // VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, CHILD_CLEARTID.
  u64 flags = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x200000;
  long result;
  register u32* r10 __asm__("r10") = alive;
  register void* r12 __asm__("r12") = argument;
  register void (*r13)(void*) __asm__("r13") = function;
  *alive = 1;
  __asm__ volatile("syscall\n\t"
                   "testq %%rax, %%rax\n\t"
                   "jnz 1f\n\t"
                   "xorl %%ebp, %%ebp\n\t"
                   "movq %%r12, %%rdi\n\t"
                   "call *%%r13\n\t"
                   "ud2\n"
                   "1:"
                   : "=a"(result)
                   : "a"((long)kClone), "D"(flags), "S"(stack_top), "d"(0L),
                     "r"(r10), "r"(r12), "r"(r13)
                   : "rcx", "r11", "memory");
  if (result < 0)
    *alive = 0;
  return result;
}

static inline void EndThread(void) {
  CALL1(kExit, 0);
}

// Waits until a word that others change is no longer `value`.
static inline void WaitWhile(u32* word, u32 value) {
  while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value)
    CALL4(kFutex, word, 0, value, 0);
}

static inline void Wake(u32* word, u32 count) {
  CALL3(kFutex, word, 1, count);
}

static inline u64 Nanoseconds(void) {
  u64 time[2];
  CALL2(kClockTime, 1, time);
  return time[0] * 1000000000 + time[1];
}

int Main(int count, char** arguments);

__attribute__((used)) static void Begin(long* stack) {
  CALL1(kExitGroup, Main((int)stack[0], (char**)(stack + 1)));
}

__asm__(".globl _start\n"
        "_start:\n"
        "  movq %rsp, %rdi\n"
        "  andq $-16, %rsp\n"
        "  call Begin\n");

#endif
