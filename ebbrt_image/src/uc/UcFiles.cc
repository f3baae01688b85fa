#include "uc/UcFiles.h"

#include "arch/Clock.h"
#include "entropy/Entropy.h"

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

}  // namespace

ebbrt::UcFiles::UcFiles(const Archive& archive, std::string_view executable,
                        Limits limits)
    : limits_(limits),
      system_(MakeRef<FileSystem>(archive,
                                  MakeStorage(pages_, limits.tmp_pages),
                                  &FillRandom, executable)),
      descriptors_(static_cast<int>(limits.descriptors)),
      directory_(system_->root()) {}

ebbrt::UcFiles::UcFiles(const UcFiles& source, ConsoleFactory& consoles)
    : limits_(source.limits_),
      descriptors_(static_cast<int>(limits_.descriptors)),
      directory_(Place::InArchive(Archive::kRoot)), umask_(source.umask_) {
  CloneMap map(consoles);
  system_ = source.system_->Clone(map, MakeStorage(pages_, limits_.tmp_pages));
  directory_ = map.Clone(source.directory_);
  descriptors_.CloneFrom(source.descriptors_, map);
}
