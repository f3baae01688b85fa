// The file side of a UC: names, descriptor numbers, current directory. A
// snapshot keeps one too, as the prototype of its UCs' own.
#ifndef EBBRT_UC_UCFILES_H_
#define EBBRT_UC_UCFILES_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "files/CloneMap.h"
#include "files/DescriptorTable.h"
#include "files/FileSystem.h"
#include "files/StateWriter.h"
#include "uc/TmpPages.h"

namespace ebbrt {

class UcFiles {
 public:
  // The runtime's program, whichever it is.
  static constexpr std::string_view kProgram = "/bin/runtime";

  struct Limits {
    uint64_t tmp_pages;
    uint32_t descriptors;
  };

  // No number is open yet. `payer` is what pages of files are charged to.
  UcFiles(const Archive& archive, Limits limits, AddressSpace* payer);
  // The same state, with descriptors of its own. `source` is only read, so
  // cores may clone one prototype at the same time.
  UcFiles(const UcFiles& source, ConsoleFactory& consoles, AddressSpace* payer);
  UcFiles& operator=(const UcFiles&) = delete;

  // How many frames the kernel takes for what pipes hold, here and in a clone,
  // at most.
  uint64_t BufferFrames() const;

  // A prototype as bytes (files/StateFormat.h) and back. The bytes may be
  // anything; the errors are those of StateReader.
  uint64_t SavedSize() const;
  void Save(StateSink& sink) const;
  static Result<std::unique_ptr<UcFiles>>
  Load(std::span<const std::byte> bytes, const Archive& archive, Limits limits);

  FileSystem& system() { return *system_; }
  DescriptorTable& descriptors() { return descriptors_; }
  const Place& directory() const { return directory_; }
  void set_directory(const Place& place) { directory_ = place; }
  uint32_t umask() const { return umask_; }
  void set_umask(uint32_t mask) { umask_ = mask; }

 private:
  explicit UcFiles(Limits limits);

  Limits limits_;
  TmpPages pages_;
  RefPtr<FileSystem> system_;
  DescriptorTable descriptors_;
  Place directory_;
  uint32_t umask_ = 022;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_UCFILES_H_
