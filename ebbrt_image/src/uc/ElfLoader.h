// Puts a static ELF program into an empty address space, with the stack that
// the System V ABI asks for (AMD64 supplement, section 3.4.1).
#ifndef EBBRT_UC_ELFLOADER_H_
#define EBBRT_UC_ELFLOADER_H_

#include <span>
#include <string_view>

#include "files/Archive.h"
#include "lib/Result.h"
#include "uc/AddressSpace.h"

namespace ebbrt {

class ElfLoader {
 public:
  struct Program {
    uint64_t entry;
    uint64_t stack;
    uint64_t break_start;
  };

  ElfLoader(AddressSpace& space, const Archive& archive)
      : space_(space), archive_(archive) {}

  // kNoExec if the file is not a static x86-64 program of this kind.
  Result<Program> Load(std::string_view path,
                       std::span<const std::string_view> arguments,
                       std::span<const std::string_view> environment);

 private:
  Result<std::span<const std::byte>> find(std::string_view path) const;
  Result<void> map_segments(std::span<const std::byte> image);
  Result<void> map_vdso();
  Result<uint64_t> build_stack(std::span<const std::string_view> arguments,
                               std::span<const std::string_view> environment);

  AddressSpace& space_;
  const Archive& archive_;
  uint64_t entry_ = 0;
  uint64_t break_start_ = 0;
  uint64_t program_headers_ = 0;
  uint64_t program_header_count_ = 0;
  uint64_t vdso_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_ELFLOADER_H_
