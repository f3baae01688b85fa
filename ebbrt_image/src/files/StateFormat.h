// The file side of a UC as bytes, for snapshots that leave the machine: what
// StateWriter writes and StateReader reads. Little endian, nothing aligned.
//
//   8   "EBFILES" and a zero
//   u32 version, 1
//   u64 size of all, the check included
//   the sections in the order of StateSection, each: u32 id, u64 size, body
//   u32 CRC-32 of all before
//
// Objects are meant by their index among those of their type.
//
//   kNames        u32 check of the archive, text path of the executable,
//                 u64 inode number given last, place of the current directory
//   kInodes       u32 count, then that many inodes
//   kChannels     u32 count, then each: u32 activity, u32 size, bytes
//   kDescriptors  u32 count, then each: u8 StateKind, u32 flags, u32 size, body
//   kNumbers      u32 count, then each: u32 number, u32 descriptor,
//                 u8 close on exec; in the order of numbers
//   kPages        contents of files, as the inodes say
//
//   inode         u64 number, u32 mode, 3 times (u64 seconds, u64 nanoseconds),
//                 then of a file:
//                 u64 size, u32 count of pages, each: u64 index, u16 stored
//                 size or of a directory: u64 next cookie, u32 count of
//                 entries, each: u64 cookie, text
//   place         u8 kind, u32 index of an archive entry, SpecialNode or inode
//   text          u16 size, bytes
//
// Inodes come breadth first from the root of /tmp, which is number 0: the
// entries of all directories, read one after the other, are inodes 1, 2, 3 and
// so on. Behind them come those that no directory names. Of a page, the zeros
// at the end are not stored. Epoll sets come after all other descriptors. What
// a descriptor's body holds, its Save says.
//
// The same state always gives the same bytes.
#ifndef EBBRT_FILES_STATEFORMAT_H_
#define EBBRT_FILES_STATEFORMAT_H_

#include <cstddef>
#include <cstdint>

namespace ebbrt {

constexpr char kStateMagic[8] = "EBFILES";
constexpr std::uint32_t kStateVersion = 1;
constexpr std::size_t kStateHeaderSize = 20;
constexpr std::size_t kStateSectionHeaderSize = 12;
constexpr std::size_t kStateCheckSize = 4;

enum class StateSection : std::uint32_t {
  kNames = 1,
  kInodes,
  kChannels,
  kDescriptors,
  kNumbers,
  kPages,
};
constexpr std::size_t kStateSections = 6;

enum class StateKind : std::uint8_t {
  kArchiveFile = 1,
  kTmpFile,
  kDirectory,
  kDevice,
  kPipeReader,
  kPipeWriter,
  kSocketEnd,
  kEventFd,
  kEpoll,
  kConsole,
  kLostSocket,
  kStreamSocket,
  kDatagramSocket,
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_STATEFORMAT_H_
