// Random operations on a small set of names, with files held open across them.
// Whatever happens, the limits hold, every directory leads back to the root,
// and nothing is left at the end.
#include <cstdlib>
#include <string>
#include <vector>

#include "ArchiveImage.h"
#include "FakePages.h"
#include "FuzzInput.h"
#include "files/FileSystem.h"

namespace {

namespace abi = ebbrt::abi;
using ebbrt::RefPtr;

constexpr ebbrt::TmpStorage::Limits kLimits{12, 10};
constexpr std::size_t kHeld = 4;

void Fill(std::span<std::byte>) {}

std::string make_path(FuzzInput& input) {
  static const char* const kParts[] = {
      "a", "b", "..", ".", "c/", "/tmp", "d", "", "proc/self/exe"};
  std::string path = "/tmp";
  for (auto parts = input.Below(4); parts > 0; --parts)
    path += std::string("/") + kParts[input.Below(9)];
  return path;
}

// Every entry of a directory of /tmp must lead back up to it.
void check_tree(const ebbrt::FileSystem& fs, ebbrt::TmpInode& directory) {
  for (auto& child : directory.children()) {
    if (child.inode->parent() != &directory || child.inode->removed())
      std::abort();
    auto place = ebbrt::Place::InTmp(child.inode);
    auto path = fs.tree().PathOf(place);
    if (!path.ok())
      std::abort();
    auto found = fs.tree().Walk(fs.root(), *path, true);
    if (!found.ok() || *found != place)
      std::abort();
    if (child.inode->is_directory())
      check_tree(fs, *child.inode);
  }
}

void operate(ebbrt::FileSystem& fs,
             std::vector<RefPtr<ebbrt::Descriptor>>& held, FuzzInput& input) {
  auto root = fs.root();
  auto& file = held[input.Below(kHeld)];
  std::vector<std::byte> bytes(input.Below(5) * 2500);
  auto start = file && file->place() ? *file->place() : root;
  switch (input.Below(12)) {
  case 0:
  case 1: {
    constexpr int kFlags[] = {
        0,
        abi::kOpenReadWrite | abi::kOpenCreate,
        abi::kOpenDirectory,
        abi::kOpenReadWrite | abi::kOpenTruncate,
        abi::kOpenReadWrite | abi::kOpenAppend | abi::kOpenCreate,
        abi::kOpenReadWrite | abi::kOpenTemporary | abi::kOpenDirectory};
    auto opened = fs.Open(start, make_path(input).c_str() + input.Below(6),
                          kFlags[input.Below(6)], 0644);
    if (opened.ok())
      file = std::move(opened).value();
    break;
  }
  case 2:
    static_cast<void>(fs.MakeDirectory(start, make_path(input), 0755));
    break;
  case 3:
    static_cast<void>(fs.Unlink(start, make_path(input)));
    break;
  case 4:
    static_cast<void>(fs.RemoveDirectory(start, make_path(input)));
    break;
  case 5: {
    auto from = make_path(input);
    auto to = make_path(input);
    static_cast<void>(fs.Rename(start, from, root, to, input.Below(2)));
    break;
  }
  case 6:
    file = nullptr;
    break;
  default:
    if (!file)
      break;
    switch (input.Below(5)) {
    case 0:
      static_cast<void>(file->Write(bytes));
      break;
    case 1:
      static_cast<void>(file->Read(bytes));
      break;
    case 2:
      static_cast<void>(file->ReadDirectory(bytes));
      break;
    case 3:
      static_cast<void>(file->Truncate(input.Below(256) * 100));
      break;
    default:
      static_cast<void>(file->Seek(input.Below(256) * 99, abi::kSeekSet));
      break;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  static const auto kImage = ArchiveImage::FromFile(ARCHIVE_FIXTURE);
  static const auto kArchive = kImage.Open();
  FuzzInput input(data, size);
  FakePages pages;
  {
    auto fs = ebbrt::MakeRef<ebbrt::FileSystem>(
        kArchive, ebbrt::MakeRef<ebbrt::TmpStorage>(pages, FakeClock, kLimits),
        Fill, "/bin/python");
    std::vector<RefPtr<ebbrt::Descriptor>> held(kHeld);
    while (!input.done()) {
      operate(*fs, held, input);
      if (pages.used() > kLimits.pages ||
          fs->tmp().storage().pages_used() != pages.used() ||
          fs->tmp().storage().inodes_used() > kLimits.inodes)
        std::abort();
      check_tree(*fs, *fs->tmp().root());
    }
  }
  if (pages.used() != 0)
    std::abort();
  return 0;
}
