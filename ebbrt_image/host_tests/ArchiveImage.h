// Archives in page aligned memory of exactly their size, for tests.
#ifndef EBBRT_HOST_TESTS_ARCHIVEIMAGE_H_
#define EBBRT_HOST_TESTS_ARCHIVEIMAGE_H_

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>

#include "files/Archive.h"
#include "lib/Assert.h"
#include "lib/Crc32.h"

class ArchiveImage {
 public:
  static ArchiveImage FromFile(const char* path) {
    std::ifstream file(path, std::ios::binary);
    kbugon(!file, "cannot read %s; make it with make test", path);
    std::string contents{std::istreambuf_iterator<char>(file), {}};
    return ArchiveImage(std::as_bytes(std::span(contents)));
  }

  explicit ArchiveImage(std::span<const std::byte> contents)
      : size_(contents.size()) {
    void* memory = nullptr;
    kbugon(posix_memalign(&memory, 4096, size_ + 1) != 0, "no memory");
    memory_.reset(static_cast<std::byte*>(memory));
    std::memcpy(memory, contents.data(), size_);
  }

  std::span<std::byte> bytes() const { return {memory_.get(), size_}; }
  ebbrt::ArchiveHeader& header() const {
    return *reinterpret_cast<ebbrt::ArchiveHeader*>(memory_.get());
  }
  ebbrt::ArchiveEntry& entry(std::uint32_t index) const {
    return reinterpret_cast<ebbrt::ArchiveEntry*>(
        memory_.get() + header().entries_offset)[index];
  }
  // Makes the check sum right, so that a test can break something else.
  void Seal() const {
    auto end = std::min<std::uint64_t>(header().data_offset, size_);
    header().check = 0;
    header().check = ebbrt::Crc32(bytes().first(end));
  }
  ebbrt::Archive Open() const {
    auto archive = ebbrt::Archive::Open(bytes());
    kbugon(!archive.ok(), "the archive is refused");
    return *archive;
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t size_;
};

#endif  // EBBRT_HOST_TESTS_ARCHIVEIMAGE_H_
