// A range of a UC's addresses that is filled in one way.
#ifndef EBBRT_UC_REGION_H_
#define EBBRT_UC_REGION_H_

#include <cstddef>
#include <cstdint>

namespace ebbrt {

struct Protection {
  bool read = false;
  bool write = false;
  bool execute = false;
  bool operator==(const Protection&) const = default;
};

struct Region {
  uint64_t start = 0;
  uint64_t end = 0;
  Protection protection;
  // Bytes of the read-only archive, page aligned in memory, that fill the
  // region from its start; null for zeroes only. What lies behind
  // `file_bytes` is zero.
  const std::byte* file = nullptr;
  uint64_t file_bytes = 0;

  uint64_t size() const { return end - start; }

  // The part of this region that starts at `at`.
  Region TailFrom(uint64_t at) const {
    auto tail = *this;
    auto skipped = at - start;
    tail.start = at;
    if (file && skipped < file_bytes) {
      tail.file = file + skipped;
      tail.file_bytes = file_bytes - skipped;
    } else {
      tail.file = nullptr;
      tail.file_bytes = 0;
    }
    return tail;
  }

  // True if `next`, which begins where this ends, goes on in the same way.
  bool Continues(const Region& next) const {
    return end == next.start && protection == next.protection && !file &&
           !next.file;
  }
};

}  // namespace ebbrt

#endif  // EBBRT_UC_REGION_H_
