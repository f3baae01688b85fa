#include "uc/UcFiles.h"

#include "arch/Clock.h"
#include "entropy/Entropy.h"
#include "files/SocketDescriptor.h"
#include "files/StateReader.h"
#include "mm/Pfn.h"
#include "uc/ConsoleRole.h"

namespace {

constexpr size_t kMaxFiles = 4096;

void FillRandom(std::span<std::byte> bytes) {
  ebbrt::entropy->Read(bytes);
}

ebbrt::RefPtr<ebbrt::TmpStorage> MakeStorage(ebbrt::TmpPages& pages,
                                             uint64_t limit) {
  return ebbrt::MakeRef<ebbrt::TmpStorage>(
      pages, &ebbrt::clock::Wall, ebbrt::TmpStorage::Limits{limit, kMaxFiles});
}

// One byte: the role.
class PrototypeWriter final : public ebbrt::ConsoleWriter {
 public:
  void WriteConsole(const ebbrt::Descriptor& source,
                    ebbrt::StateBuffer& body) override {
    auto role = static_cast<const ebbrt::ConsolePrototype&>(source).role();
    body.Add8(static_cast<uint8_t>(role));
  }
};

class PrototypeReader final : public ebbrt::ConsoleReader {
 public:
  ebbrt::RefPtr<ebbrt::Descriptor>
  ReadConsole(std::span<const std::byte> body) override {
    using ebbrt::ConsoleRole;
    if (body.size() != 1)
      return nullptr;
    auto role = static_cast<ConsoleRole>(body[0]);
    if (role > ConsoleRole::kChannel)
      return nullptr;
    auto access = role == ConsoleRole::kChannel ? ebbrt::abi::kOpenReadWrite
                                                : ebbrt::abi::kOpenWriteOnly;
    return ebbrt::MakeRef<ebbrt::ConsolePrototype>(role, access);
  }
};

}  // namespace

ebbrt::UcFiles::UcFiles(Limits limits)
    : limits_(limits), pages_(nullptr),
      descriptors_(static_cast<int>(limits.descriptors)),
      directory_(Place::InArchive(Archive::kRoot)) {}

uint64_t ebbrt::UcFiles::BufferFrames() const {
  uint64_t frames = 0;
  descriptors_.ForEach([&frames](int, const Descriptor& descriptor) {
    if (descriptor.kind() != Descriptor::Kind::kPipe &&
        descriptor.kind() != Descriptor::Kind::kSocket)
      return;
    // A pipe counts where it is read.
    if ((descriptor.flags() & abi::kOpenAccessMask) == abi::kOpenWriteOnly)
      return;
    auto held = descriptor.kind() == Descriptor::Kind::kSocket
                    ? static_cast<const SocketDescriptor&>(descriptor).Held()
                    : descriptor.Available().value();
    // In pages that begin with what was read last.
    frames += PageUp(held) / kPageSize + (held > 0 ? 1 : 0);
  });
  return frames;
}

uint64_t ebbrt::UcFiles::SavedSize() const {
  PrototypeWriter consoles;
  return StateWriter(*system_, directory_, descriptors_, consoles).size();
}

void ebbrt::UcFiles::Save(StateSink& sink) const {
  PrototypeWriter consoles;
  StateWriter(*system_, directory_, descriptors_, consoles).Emit(sink);
}

ebbrt::Result<std::unique_ptr<ebbrt::UcFiles>>
ebbrt::UcFiles::Load(std::span<const std::byte> bytes, const Archive& archive,
                     Limits limits) {
  std::unique_ptr<UcFiles> files(new UcFiles(limits));
  PrototypeReader consoles;
  StateReader reader({archive, MakeStorage(files->pages_, limits.tmp_pages),
                      &FillRandom, ebbrt::UcFiles::kProgram, consoles,
                      static_cast<int>(limits.descriptors)});
  auto read = reader.Read(bytes);
  if (!read)
    return read.error();
  files->system_ = std::move(read->files);
  files->directory_ = read->directory;
  files->descriptors_ = std::move(read->descriptors);
  return files;
}

ebbrt::UcFiles::UcFiles(const Archive& archive, Limits limits,
                        AddressSpace* payer)
    : limits_(limits), pages_(payer),
      system_(MakeRef<FileSystem>(archive,
                                  MakeStorage(pages_, limits.tmp_pages),
                                  &FillRandom, ebbrt::UcFiles::kProgram)),
      descriptors_(static_cast<int>(limits.descriptors)),
      directory_(system_->root()) {}

ebbrt::UcFiles::UcFiles(const UcFiles& source, ConsoleFactory& consoles,
                        AddressSpace* payer)
    : limits_(source.limits_), pages_(payer),
      descriptors_(static_cast<int>(limits_.descriptors)),
      directory_(Place::InArchive(Archive::kRoot)), umask_(source.umask_) {
  CloneMap map(consoles);
  system_ = source.system_->Clone(map, MakeStorage(pages_, limits_.tmp_pages));
  directory_ = map.Clone(source.directory_);
  descriptors_.CloneFrom(source.descriptors_, map);
}
