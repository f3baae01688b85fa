// The archive: a read-only tree of files inside the image. Made by
// tools/pack_archive.py, read by Archive. Little endian; all offsets count from
// the start of the archive, which is page aligned in memory.
//
//   ArchiveHeader                          at 0
//   ArchiveEntry[entry_count]              at entries_offset
//   names, without separators              at names_offset
//   contents of the files                  from data_offset (page aligned)
//
// Entries come breadth first: the root is entry 0 and has no name, and the
// children of a directory are neighbours, sorted by the bytes of their names.
// The contents of every file begin on a page and are followed by zeros to the
// end of the page, so a page of a file can be mapped where it lies. Files with
// the same contents share them. There are no links; packing resolved them.
#ifndef EBBRT_FILES_ARCHIVEFORMAT_H_
#define EBBRT_FILES_ARCHIVEFORMAT_H_

#include <cstddef>
#include <cstdint>

namespace ebbrt {

struct ArchiveHeader {
  static constexpr char kMagic[8] = {'E', 'B', 'A', 'R', 'C', 'H', 'V', '1'};

  char magic[8];
  std::uint64_t total_size;  // a multiple of the page size
  std::uint64_t entries_offset;
  std::uint64_t names_offset;
  std::uint64_t names_size;
  std::uint64_t data_offset;
  std::int64_t modified;  // Unix seconds, of every file
  std::uint32_t entry_count;
  // CRC-32 of this header with a zero here, then of all up to data_offset.
  std::uint32_t check;
};
static_assert(sizeof(ArchiveHeader) == 64);

struct ArchiveEntry {
  std::uint64_t data_offset;  // of a file; 0 for a directory
  std::uint64_t size;         // of a file, in bytes; 0 for a directory
  std::uint32_t name_offset;  // within the names
  std::uint32_t name_size;
  std::uint32_t mode;         // as st_mode: regular file or directory
  std::uint32_t parent;       // the root is its own
  std::uint32_t first_child;  // of a directory; 0 for a file
  std::uint32_t child_count;  // of a directory; 0 for a file
};
static_assert(sizeof(ArchiveEntry) == 40);

}  // namespace ebbrt

#endif  // EBBRT_FILES_ARCHIVEFORMAT_H_
