// For guests that tests talk to: requests come by descriptor 3, and an answer
// without contents ends each. Figures for the test lie in a page of their own.
#ifndef EBBRT_BOOT_TESTS_GUESTS_REQUESTS_H_
#define EBBRT_BOOT_TESTS_GUESTS_REQUESTS_H_

#include "Guest.h"

enum { kChannel = 3, kFrameSize = 32, kCaptureSelf = 500 };

// As in boot_tests/TalkingRunner.h.
static u64* const report = (u64*)0x20000000;

struct Frame {
  u32 magic;
  u8 version, flags;
  unsigned short type;
  u64 id;
  u32 context, length, limit, check;
};

static inline void OpenReport(void) {
  EXPECT(MapAnonymous((u64)report, kPageSize, kCanRead | kCanWrite, 0x10),
         report);
}

static inline u32 Checksum(const u8* bytes, u64 size) {
  u32 sum = ~0u;
  for (u64 i = 0; i < size; ++i) {
    sum ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit)
      sum = sum >> 1 ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum;
}

static inline long SendFrame(int type, u64 id) {
  struct Frame frame = {0x53554553, 1, 0, (unsigned short)type, id, 0, 0, 0, 0};
  frame.check = Checksum((u8*)&frame, kFrameSize - 4);
  return CALL3(kWrite, kChannel, &frame, kFrameSize);
}

static inline void Answer(u64 id) {
  EXPECT(SendFrame(0x84, id), kFrameSize);
}

#endif
