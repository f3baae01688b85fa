#include "files/Archive.h"

#include <algorithm>
#include <cstring>

#include "files/Abi.h"
#include "files/Path.h"
#include "lib/Assert.h"
#include "lib/Crc32.h"

namespace {

constexpr std::uint64_t kPageSize = 4096;

// Does [offset, offset + size) lie within [low, high)?
bool within(std::uint64_t offset, std::uint64_t size, std::uint64_t low,
            std::uint64_t high) {
  return offset >= low && offset <= high && size <= high - offset;
}

std::uint32_t compute_check(ebbrt::ArchiveHeader header,
                            std::span<const std::byte> index) {
  header.check = 0;
  return ebbrt::Crc32(index,
                      ebbrt::Crc32(std::as_bytes(std::span(&header, 1))));
}

}  // namespace

ebbrt::Result<ebbrt::Archive>
ebbrt::Archive::Open(std::span<const std::byte> image) {
  if (reinterpret_cast<std::uintptr_t>(image.data()) % kPageSize != 0)
    return Errno::kFault;
  ArchiveHeader header;
  if (image.size() < sizeof(header))
    return Errno::kBadMessage;
  std::memcpy(&header, image.data(), sizeof(header));

  auto entries_size = std::uint64_t{header.entry_count} * sizeof(ArchiveEntry);
  if (std::memcmp(header.magic, ArchiveHeader::kMagic, sizeof(header.magic)) !=
          0 ||
      header.total_size > image.size() || header.total_size % kPageSize != 0 ||
      header.data_offset % kPageSize != 0 ||
      header.entries_offset % alignof(ArchiveEntry) != 0 ||
      header.entry_count == 0 ||
      !within(header.data_offset, 0, sizeof(header), header.total_size) ||
      !within(header.entries_offset, entries_size, sizeof(header),
              header.data_offset) ||
      !within(header.names_offset, header.names_size, sizeof(header),
              header.data_offset))
    return Errno::kBadMessage;
  auto index =
      image.subspan(sizeof(header), header.data_offset - sizeof(header));
  if (header.check != compute_check(header, index))
    return Errno::kBadMessage;

  Archive archive;
  archive.image_ = image.first(header.total_size);
  archive.entries_ = {reinterpret_cast<const ArchiveEntry*>(
                          image.data() + header.entries_offset),
                      header.entry_count};
  archive.names_ = {
      reinterpret_cast<const char*>(image.data() + header.names_offset),
      header.names_size};
  archive.data_offset_ = header.data_offset;
  archive.modified_ = header.modified;
  archive.check_ = header.check;
  if (!archive.check_entries())
    return Errno::kBadMessage;
  return archive;
}

// Breadth first order means that the children of the directories, taken in
// turn, are entries 1, 2, 3 and so on. That makes it a tree: every entry but
// the root has one parent, which stands before it.
bool ebbrt::Archive::check_entries() const {
  auto& root = entries_[kRoot];
  if ((root.mode & abi::kModeTypeMask) != abi::kModeDirectory ||
      root.parent != kRoot)
    return false;
  std::uint64_t next_child = 1;
  for (std::uint32_t index = 0; index < entries_.size(); ++index) {
    auto& entry = entries_[index];
    if (index >= next_child)
      return false;
    if (!within(entry.name_offset, entry.name_size, 0, names_.size()))
      return false;
    if (index != kRoot && !IsFileName(name(index)))
      return false;
    switch (entry.mode & abi::kModeTypeMask) {
    case abi::kModeDirectory:
      if (!check_directory(index, next_child))
        return false;
      break;
    case abi::kModeRegular:
      if (entry.first_child != 0 || entry.child_count != 0 ||
          entry.data_offset % kPageSize != 0 ||
          !within(entry.data_offset, entry.size, data_offset_, image_.size()))
        return false;
      break;
    default:
      return false;
    }
  }
  return next_child == entries_.size();
}

bool ebbrt::Archive::check_directory(std::uint32_t index,
                                     std::uint64_t& next_child) const {
  auto& entry = entries_[index];
  if (entry.data_offset != 0 || entry.size != 0)
    return false;
  if (entry.child_count == 0)
    return true;
  if (entry.first_child != next_child ||
      !within(next_child, entry.child_count, 0, entries_.size()))
    return false;
  next_child += entry.child_count;
  for (auto child = entry.first_child; child < next_child; ++child) {
    auto& description = entries_[child];
    if (description.parent != index ||
        !within(description.name_offset, description.name_size, 0,
                names_.size()))
      return false;
    if (child > entry.first_child && name(child - 1) >= name(child))
      return false;
  }
  return true;
}

const ebbrt::ArchiveEntry& ebbrt::Archive::entry(std::uint32_t index) const {
  kassert(index < entries_.size());
  return entries_[index];
}

std::string_view ebbrt::Archive::name(std::uint32_t index) const {
  auto& description = entry(index);
  return {names_.data() + description.name_offset, description.name_size};
}

bool ebbrt::Archive::is_directory(std::uint32_t index) const {
  return (entry(index).mode & abi::kModeTypeMask) == abi::kModeDirectory;
}

std::span<const std::byte> ebbrt::Archive::contents(std::uint32_t index) const {
  kassert(!is_directory(index));
  return image_.subspan(entry(index).data_offset, entry(index).size);
}

ebbrt::Result<std::uint32_t>
ebbrt::Archive::Find(std::uint32_t directory, std::string_view wanted) const {
  if (!is_directory(directory))
    return Errno::kNotDirectory;
  auto low = entry(directory).first_child;
  auto high = low + entry(directory).child_count;
  while (low < high) {
    auto middle = low + (high - low) / 2;
    auto order = name(middle).compare(wanted);
    if (order == 0)
      return middle;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return Errno::kNoEntry;
}
