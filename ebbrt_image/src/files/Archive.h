// Reads an archive (ArchiveFormat.h) where it lies. An Archive is a view: it
// owns nothing, and one serves all UCs.
#ifndef EBBRT_FILES_ARCHIVE_H_
#define EBBRT_FILES_ARCHIVE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "files/ArchiveFormat.h"
#include "lib/Result.h"

namespace ebbrt {

class Archive {
 public:
  static constexpr std::uint32_t kRoot = 0;

  // Checks the whole index, so that nothing below can go out of bounds:
  // kBadMessage when something in it is wrong, kFault when `image` is not page
  // aligned. `image` may be longer than the archive.
  static Result<Archive> Open(std::span<const std::byte> image);

  std::uint32_t entry_count() const { return entries_.size(); }
  std::int64_t modified() const { return modified_; }
  // Of names and places of all files; two archives differ in it.
  std::uint32_t check() const { return check_; }
  const ArchiveEntry& entry(std::uint32_t index) const;
  std::string_view name(std::uint32_t index) const;
  bool is_directory(std::uint32_t index) const;
  // Of a file. What lies between its end and the end of the page is zero.
  std::span<const std::byte> contents(std::uint32_t index) const;

  // kNoEntry, or kNotDirectory when `directory` is a file.
  Result<std::uint32_t> Find(std::uint32_t directory,
                             std::string_view name) const;

 private:
  Archive() = default;
  bool check_entries() const;
  bool check_directory(std::uint32_t index, std::uint64_t& next_child) const;

  std::span<const std::byte> image_;
  std::span<const ArchiveEntry> entries_;
  std::string_view names_;
  std::uint64_t data_offset_ = 0;
  std::int64_t modified_ = 0;
  std::uint32_t check_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_ARCHIVE_H_
