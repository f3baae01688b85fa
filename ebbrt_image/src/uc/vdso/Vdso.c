// Time without a system call: what glibc looks up behind AT_SYSINFO_EHDR. The
// page before this image is the kernel's TimePage.

typedef unsigned long u64;
typedef unsigned int u32;

// Layout of ebbrt::TimePage (arch/Clock.h).
struct TimePage {
  u32 sequence;
  u32 shift;
  u64 multiplier;
  u64 base_tsc;
  u64 base_uptime;
  u64 wall_offset;
  u64 generation;
};

struct TimeSpec {
  long seconds;
  long nanoseconds;
};

struct TimeVal {
  long seconds;
  long microseconds;
};

enum {
  kRealtime = 0,
  kMonotonic = 1,
  kMonotonicRaw = 4,
  kRealtimeCoarse = 5,
  kMonotonicCoarse = 6,
  kBoottime = 7,
  kClockGetTime = 228,
  kClockGetRes = 229,
};

#define kSecond 1000000000ul

extern const volatile struct TimePage time_page
    __attribute__((visibility("hidden")));

static u64 ReadTsc(void) {
  u32 low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (u64)high << 32 | low;
}

static long SystemCall(long number, long a, long b) {
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b)
                   : "rcx", "r11", "memory");
  return result;
}

static u64 Now(int wall) {
  for (;;) {
    u32 sequence = __atomic_load_n(&time_page.sequence, __ATOMIC_ACQUIRE);
    if (sequence & 1)
      continue;
    u64 elapsed = ReadTsc() - time_page.base_tsc;
    // The TSC may have been read before another core set the base.
    unsigned __int128 ticks = (long)elapsed < 0 ? 0 : elapsed;
    u64 now = time_page.base_uptime +
              (u64)(ticks * time_page.multiplier >> time_page.shift);
    if (wall)
      now += time_page.wall_offset;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (time_page.sequence == sequence)
      return now;
  }
}

int __vdso_clock_gettime(int clock, struct TimeSpec* out) {
  u64 now;
  switch (clock) {
  case kRealtime:
  case kRealtimeCoarse:
    now = Now(1);
    break;
  case kMonotonic:
  case kMonotonicRaw:
  case kMonotonicCoarse:
  case kBoottime:
    now = Now(0);
    break;
  default:
    return (int)SystemCall(kClockGetTime, clock, (long)out);
  }
  out->seconds = (long)(now / kSecond);
  out->nanoseconds = (long)(now % kSecond);
  return 0;
}

int __vdso_gettimeofday(struct TimeVal* out, void* zone) {
  (void)zone;
  if (out) {
    u64 now = Now(1);
    out->seconds = (long)(now / kSecond);
    out->microseconds = (long)(now % kSecond / 1000);
  }
  return 0;
}

long __vdso_time(long* out) {
  long now = (long)(Now(1) / kSecond);
  if (out)
    *out = now;
  return now;
}

int __vdso_clock_getres(int clock, struct TimeSpec* out) {
  return (int)SystemCall(kClockGetRes, clock, (long)out);
}
