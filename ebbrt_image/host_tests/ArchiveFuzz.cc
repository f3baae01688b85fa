// Builds a small archive whose header and index are near to right, lets the
// input change some of it, and walks what Archive accepts.
#include <cstdlib>
#include <vector>

#include "ArchiveImage.h"

namespace {

using ebbrt::Archive;
using ebbrt::ArchiveEntry;
using ebbrt::ArchiveHeader;

constexpr std::size_t kPage = 4096;

// "/a/b" with a page of data, and "/c" empty.
std::vector<std::byte> make_archive() {
  std::vector<std::byte> image(2 * kPage);
  ArchiveHeader header{};
  std::memcpy(header.magic, ArchiveHeader::kMagic, sizeof(header.magic));
  header.total_size = image.size();
  header.entries_offset = sizeof(header);
  header.entry_count = 4;
  header.names_offset = sizeof(header) + 4 * sizeof(ArchiveEntry);
  header.names_size = 3;
  header.data_offset = kPage;
  const ArchiveEntry entries[] = {{0, 0, 0, 0, 0040755, 0, 1, 2},
                                  {0, 0, 0, 1, 0040755, 0, 3, 1},
                                  {kPage, 0, 1, 1, 0100644, 0, 0, 0},
                                  {kPage, 100, 2, 1, 0100644, 1, 0, 0}};
  std::memcpy(image.data(), &header, sizeof(header));
  std::memcpy(image.data() + header.entries_offset, entries, sizeof(entries));
  std::memcpy(image.data() + header.names_offset, "acb", 3);
  return image;
}

void visit(const Archive& archive, std::uint32_t index, unsigned depth) {
  if (depth > archive.entry_count())
    std::abort();
  if (!archive.is_directory(index)) {
    for (auto byte : archive.contents(index))
      // Keeps the read from being dropped.
      asm volatile("" : : "r"(byte));
    return;
  }
  auto& entry = archive.entry(index);
  for (std::uint32_t i = 0; i < entry.child_count; ++i) {
    auto child = entry.first_child + i;
    auto found = archive.Find(index, archive.name(child));
    if (!found.ok() || *found != child)
      std::abort();
    visit(archive, child, depth + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  auto contents = make_archive();
  // Three bytes a change: where (two), and what. Most of the room is index.
  auto changes = size < 2 ? 0 : data[0] % 6u;
  auto seal = size >= 2 && data[1] % 8 != 0;
  for (std::size_t at = 2; at + 3 <= size && changes > 0; at += 3, --changes) {
    auto where = (data[at] | data[at + 1] << 8) % 240;
    contents[where] = static_cast<std::byte>(
        data[at + 2] % 5 == 0 ? data[at + 2] : data[at + 2] % 8);
  }
  ArchiveImage image(contents);
  if (seal)
    image.Seal();
  auto archive = Archive::Open(image.bytes());
  if (archive.ok())
    visit(*archive, Archive::kRoot, 0);
  return 0;
}
