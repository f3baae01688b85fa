// The part of the Linux x86-64 system-call interface that files need.
#ifndef EBBRT_FILES_ABI_H_
#define EBBRT_FILES_ABI_H_

#include <cstddef>
#include <cstdint>

namespace ebbrt::abi {

// open and fcntl.
constexpr int kOpenReadOnly = 0;
constexpr int kOpenWriteOnly = 1;
constexpr int kOpenReadWrite = 2;
constexpr int kOpenAccessMask = 3;
constexpr int kOpenCreate = 0100;
constexpr int kOpenExclusive = 0200;
constexpr int kOpenTruncate = 01000;
constexpr int kOpenAppend = 02000;
constexpr int kOpenNonBlock = 04000;
constexpr int kOpenDirectory = 0200000;
constexpr int kOpenNoFollow = 0400000;
constexpr int kOpenCloseOnExec = 02000000;
constexpr int kOpenPath = 010000000;
// The bit that sets O_TMPFILE apart; callers pass kOpenDirectory with it.
constexpr int kOpenTemporary = 020000000;

// lseek.
constexpr int kSeekSet = 0;
constexpr int kSeekCurrent = 1;
constexpr int kSeekEnd = 2;

// access.
constexpr int kAccessExecute = 1;
constexpr int kAccessWrite = 2;
constexpr int kAccessRead = 4;

// renameat2.
constexpr unsigned kRenameNoReplace = 1;

// shutdown.
constexpr int kShutdownRead = 0;
constexpr int kShutdownWrite = 1;
constexpr int kShutdownBoth = 2;

// st_mode.
constexpr std::uint32_t kModeTypeMask = 0170000;
constexpr std::uint32_t kModeFifo = 0010000;
constexpr std::uint32_t kModeCharacter = 0020000;
constexpr std::uint32_t kModeDirectory = 0040000;
constexpr std::uint32_t kModeRegular = 0100000;
constexpr std::uint32_t kModeLink = 0120000;
constexpr std::uint32_t kModeSocket = 0140000;
constexpr std::uint32_t kModePermissions = 07777;

// poll and epoll, which agree on the common bits.
constexpr std::uint32_t kPollIn = 0x1;
constexpr std::uint32_t kPollOut = 0x4;
constexpr std::uint32_t kPollError = 0x8;
constexpr std::uint32_t kPollHangUp = 0x10;
constexpr std::uint32_t kPollReadNormal = 0x40;
constexpr std::uint32_t kPollWriteNormal = 0x100;
constexpr std::uint32_t kPollReadHangUp = 0x2000;
constexpr std::uint32_t kEpollOneShot = 1u << 30;
constexpr std::uint32_t kEpollEdge = 1u << 31;

constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxPath = 4096;  // with the NUL
constexpr std::size_t kPipeAtomic = 4096;

struct TimeSpec {
  std::int64_t seconds;
  std::int64_t nanoseconds;
};

struct Stat {
  std::uint64_t device;
  std::uint64_t inode;
  std::uint64_t links;
  std::uint32_t mode;
  std::uint32_t user;
  std::uint32_t group;
  std::uint32_t padding;
  std::uint64_t special_device;
  std::int64_t size;
  std::int64_t block_size;
  std::int64_t blocks;  // of 512 bytes
  TimeSpec accessed;
  TimeSpec modified;
  TimeSpec changed;
  std::int64_t reserved[3];
};
static_assert(sizeof(Stat) == 144);
static_assert(offsetof(Stat, mode) == 24);
static_assert(offsetof(Stat, special_device) == 40);
static_assert(offsetof(Stat, size) == 48);
static_assert(offsetof(Stat, accessed) == 72);
static_assert(offsetof(Stat, changed) == 104);

// getdents64: the head of a record; the name and a NUL follow at kNameOffset,
// and records begin at multiples of eight.
struct DirectoryRecord {
  std::uint64_t inode;
  std::int64_t next;  // where to seek to for the record after this one
  std::uint16_t size;
  std::uint8_t type;  // mode >> 12

  static constexpr std::size_t kNameOffset = 19;
};
static_assert(offsetof(DirectoryRecord, type) + 1 ==
              DirectoryRecord::kNameOffset);

struct [[gnu::packed]] EpollEvent {
  std::uint32_t events;
  std::uint64_t data;
};
static_assert(sizeof(EpollEvent) == 12);

}  // namespace ebbrt::abi

#endif  // EBBRT_FILES_ABI_H_
