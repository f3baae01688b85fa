#include "files/FileSystem.h"

#include <algorithm>
#include <cstring>
#include <map>

#include <gtest/gtest.h>

#include "ArchiveImage.h"
#include "Bytes.h"
#include "FakePages.h"

namespace {

namespace abi = ebbrt::abi;
using ebbrt::Errno;
using ebbrt::MakeRef;
using ebbrt::RefPtr;

constexpr int kWriteCreate = abi::kOpenReadWrite | abi::kOpenCreate;

void FillWithSevens(std::span<std::byte> bytes) {
  std::fill(bytes.begin(), bytes.end(), std::byte{7});
}

class FileSystemTest : public testing::Test {
 protected:
  ~FileSystemTest() override {
    fs_ = nullptr;
    EXPECT_EQ(pages_.used(), 0u);
  }

  RefPtr<ebbrt::Descriptor> Open(std::string_view path, int flags = 0) {
    auto file = fs_->Open(fs_->root(), path, flags, 0644);
    EXPECT_TRUE(file.ok()) << path << " " << Number(file);
    return file.ok() ? *file : nullptr;
  }
  // 0 or the error number.
  int TryOpen(std::string_view path, int flags = 0) {
    return Number(fs_->Open(fs_->root(), path, flags, 0644));
  }
  template <class T> static int Number(const ebbrt::Result<T>& result) {
    return result.ok() ? 0 : static_cast<int>(result.error());
  }
  abi::Stat Stat(std::string_view path, bool follow = true) {
    abi::Stat stat{};
    EXPECT_EQ(Number(fs_->GetStat(fs_->root(), path, follow, stat)), 0) << path;
    return stat;
  }
  int TryStat(std::string_view path) {
    abi::Stat stat;
    return Number(fs_->GetStat(fs_->root(), path, true, stat));
  }
  int MakeDirectory(std::string_view path) {
    return Number(fs_->MakeDirectory(fs_->root(), path, 0755));
  }
  int Unlink(std::string_view path) {
    return Number(fs_->Unlink(fs_->root(), path));
  }
  int RemoveDirectory(std::string_view path) {
    return Number(fs_->RemoveDirectory(fs_->root(), path));
  }
  int Rename(std::string_view from, std::string_view to, unsigned flags = 0) {
    return Number(fs_->Rename(fs_->root(), from, fs_->root(), to, flags));
  }
  int Access(std::string_view path, int mode) {
    return Number(fs_->CheckAccess(fs_->root(), path, mode));
  }
  std::string PathOf(std::string_view path) {
    auto place = fs_->tree().Walk(fs_->root(), path, true);
    EXPECT_TRUE(place.ok()) << path;
    return std::string(fs_->tree().PathOf(*place)->view());
  }
  // Names and types by getdents64 with a buffer of `size`.
  std::map<std::string, int> List(std::string_view path,
                                  std::size_t size = 4096) {
    auto directory = Open(path, abi::kOpenDirectory);
    std::map<std::string, int> names;
    std::vector<std::byte> buffer(size);
    for (;;) {
      auto result = directory->ReadDirectory(buffer);
      EXPECT_TRUE(result.ok());
      if (!result.ok() || *result == 0)
        return names;
      for (std::size_t at = 0; at < *result;) {
        abi::DirectoryRecord record;
        std::memcpy(&record, &buffer[at], abi::DirectoryRecord::kNameOffset);
        std::string name(reinterpret_cast<const char*>(
            &buffer[at + abi::DirectoryRecord::kNameOffset]));
        EXPECT_TRUE(names.emplace(name, record.type).second) << name;
        EXPECT_EQ(record.size % 8, 0);
        EXPECT_NE(record.inode, 0u);
        at += record.size;
      }
    }
  }

  static constexpr int kNoEntry = static_cast<int>(Errno::kNoEntry);
  static constexpr int kNotDirectory = static_cast<int>(Errno::kNotDirectory);
  static constexpr int kIsDirectory = static_cast<int>(Errno::kIsDirectory);
  static constexpr int kReadOnly = static_cast<int>(Errno::kReadOnly);
  static constexpr int kExists = static_cast<int>(Errno::kExists);
  static constexpr int kInvalid = static_cast<int>(Errno::kInvalid);

  FakePages pages_;
  ArchiveImage image_ = ArchiveImage::FromFile(ARCHIVE_FIXTURE);
  ebbrt::Archive archive_ = image_.Open();
  RefPtr<ebbrt::FileSystem> fs_ = MakeRef<ebbrt::FileSystem>(
      archive_,
      MakeRef<ebbrt::TmpStorage>(pages_, FakeClock,
                                 ebbrt::TmpStorage::Limits{64, 64}),
      FillWithSevens, "/bin/python");
};

TEST_F(FileSystemTest, PathsAreNormalised) {
  for (auto path :
       {"/lib/text", "//lib///text", "/./lib/./text", "/lib/deep/../text",
        "/../../lib/text", "/tmp/../lib/text", "lib/text", "./lib/text"})
    EXPECT_EQ(ReadText(*Open(path), 100), "hello\n") << path;
  EXPECT_EQ(PathOf("/lib/deep/../deep//deeper/."), "/lib/deep/deeper");
  EXPECT_EQ(PathOf("/tmp/.."), "/");
  EXPECT_EQ(PathOf("/dev/../proc/self/"), "/proc/self");
}

TEST_F(FileSystemTest, PathsThatLeadNowhere) {
  EXPECT_EQ(TryOpen(""), kNoEntry);
  EXPECT_EQ(TryOpen("/nope"), kNoEntry);
  // Dots do not hide that the way does not exist.
  EXPECT_EQ(TryOpen("/nope/../lib/text"), kNoEntry);
  EXPECT_EQ(TryOpen("/lib/text/../text"), kNotDirectory);
  EXPECT_EQ(TryOpen("/lib/text/"), kNotDirectory);
  EXPECT_EQ(TryOpen("/lib/text/."), kNotDirectory);
  EXPECT_EQ(TryOpen("/dev/null/"), kNotDirectory);
  EXPECT_EQ(TryOpen("/lib/text", abi::kOpenDirectory), kNotDirectory);
  std::string long_name(256, 'x');
  EXPECT_EQ(TryOpen("/lib/" + long_name),
            static_cast<int>(Errno::kNameTooLong));
  std::string long_path(5000, '/');
  EXPECT_EQ(TryOpen(long_path), static_cast<int>(Errno::kNameTooLong));
}

TEST_F(FileSystemTest, RelativePathsStartWhereTheCallerSays) {
  auto place = fs_->FindDirectory(fs_->root(), "/lib/deep");
  ASSERT_TRUE(place.ok());
  auto file = fs_->Open(*place, "deeper/text", 0, 0);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(ReadText(**file, 100), "deep\n");
  file = fs_->Open(*place, "../text", 0, 0);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(ReadText(**file, 100), "hello\n");
  auto directory = Open("/lib/deep");
  ASSERT_NE(directory->place(), nullptr);
  EXPECT_EQ(*directory->place(), *place);
  EXPECT_EQ(Number(fs_->FindDirectory(fs_->root(), "/lib/text")),
            kNotDirectory);
}

TEST_F(FileSystemTest, ArchiveIsReadOnly) {
  EXPECT_EQ(TryOpen("/lib/text", abi::kOpenWriteOnly), kReadOnly);
  EXPECT_EQ(TryOpen("/lib/text", abi::kOpenReadWrite), kReadOnly);
  EXPECT_EQ(TryOpen("/lib/text", abi::kOpenTruncate), kReadOnly);
  EXPECT_EQ(TryOpen("/lib/new", kWriteCreate), kReadOnly);
  EXPECT_EQ(TryOpen("/lib", abi::kOpenReadWrite), kIsDirectory);
  EXPECT_EQ(MakeDirectory("/lib/new"), kReadOnly);
  EXPECT_EQ(MakeDirectory("/lib"), kExists);
  EXPECT_EQ(Unlink("/lib/text"), kReadOnly);
  EXPECT_EQ(Unlink("/lib/nope"), kNoEntry);
  EXPECT_EQ(RemoveDirectory("/lib/deep"), kReadOnly);
  EXPECT_EQ(RemoveDirectory("/tmp"), kReadOnly);
  EXPECT_EQ(Rename("/lib/text", "/lib/t"), kReadOnly);
  EXPECT_EQ(Rename("/lib/text", "/tmp/t"),
            static_cast<int>(Errno::kCrossDevice));
  EXPECT_EQ(Number(fs_->SetPermissions(fs_->root(), "/lib/text", 0)),
            kReadOnly);
  EXPECT_EQ(Number(fs_->Truncate(fs_->root(), "/lib/text", 0)), kReadOnly);
  auto file = Open("/lib/text");
  EXPECT_EQ(file->Write(Bytes("x")).error(), Errno::kBadDescriptor);
}

TEST_F(FileSystemTest, FilesHavePositions) {
  auto file = Open("/lib/text");
  EXPECT_EQ(ReadText(*file, 2), "he");
  EXPECT_EQ(ReadText(*file, 100), "llo\n");
  EXPECT_EQ(ReadText(*file, 100), "");
  EXPECT_EQ(*file->Seek(-2, abi::kSeekEnd), 4u);
  EXPECT_EQ(*file->Available(), 2u);
  EXPECT_EQ(*file->Seek(-1, abi::kSeekCurrent), 3u);
  EXPECT_EQ(file->Seek(-9, abi::kSeekCurrent).error(), Errno::kInvalid);
  EXPECT_EQ(file->Seek(0, 7).error(), Errno::kInvalid);
  EXPECT_EQ(file->Seek(INT64_MAX, abi::kSeekCurrent).error(), Errno::kOverflow);
  EXPECT_EQ(*file->Seek(1000, abi::kSeekSet), 1000u);
  EXPECT_EQ(ReadText(*file, 10), "");
  std::byte bytes[3];
  EXPECT_EQ(*file->PRead(bytes, 1), 3u);
  EXPECT_EQ(Text(bytes), "ell");
  EXPECT_EQ(*file->Seek(0, abi::kSeekCurrent), 1000u);
}

TEST_F(FileSystemTest, ArchivePagesAreMappedWhereTheyLie) {
  auto file = Open("/bin/python");
  auto size = static_cast<std::uint64_t>(Stat("/bin/python").size);
  std::vector<std::byte> all(size);
  ASSERT_EQ(*file->Read(all), size);
  for (std::uint64_t index = 0; index * 4096 < size; ++index) {
    auto page = file->PageAt(index);
    ASSERT_TRUE(page.ok());
    EXPECT_TRUE(page->permanent);
    EXPECT_GE(page->data, image_.bytes().data());
    auto count = std::min<std::uint64_t>(4096, size - index * 4096);
    EXPECT_EQ(std::memcmp(page->data, &all[index * 4096], count), 0);
  }
  EXPECT_EQ(file->PageAt((size + 4095) / 4096).error(), Errno::kFault);
  EXPECT_EQ(Open("/lib/empty")->PageAt(0).error(), Errno::kFault);
  EXPECT_EQ(Open("/dev/null")->PageAt(0).error(), Errno::kNoDevice);
}

TEST_F(FileSystemTest, TmpFilesAreWritten) {
  auto file = Open("/tmp/f", kWriteCreate);
  EXPECT_EQ(*file->Write(Bytes("hello")), 5u);
  EXPECT_EQ(*file->Seek(1, abi::kSeekSet), 1u);
  EXPECT_EQ(ReadText(*file, 10), "ello");
  EXPECT_EQ(*file->PWrite(Bytes("J"), 0), 1u);
  EXPECT_EQ(ReadText(*Open("/tmp/f"), 10), "Jello");
  auto page = file->PageAt(0);
  ASSERT_TRUE(page.ok());
  EXPECT_FALSE(page->permanent);
  EXPECT_EQ(std::memcmp(page->data, "Jello\0\0", 7), 0);
  EXPECT_TRUE(file->Truncate(2).ok());
  EXPECT_EQ(Stat("/tmp/f").size, 2);
  EXPECT_EQ(Stat("/tmp/f").mode, 0100644u);
  EXPECT_EQ(Open("/tmp/f")->Truncate(0).error(), Errno::kInvalid);
  EXPECT_EQ(ReadText(*Open("/tmp/f", abi::kOpenWriteOnly), 1), "error 9");
}

TEST_F(FileSystemTest, AppendWritesAtTheEnd) {
  Open("/tmp/log", kWriteCreate);
  auto log = Open("/tmp/log", abi::kOpenReadWrite | abi::kOpenAppend);
  auto other = Open("/tmp/log", abi::kOpenReadWrite);
  ASSERT_TRUE(log->Write(Bytes("one")).ok());
  ASSERT_TRUE(other->Write(Bytes("ONE two")).ok());
  ASSERT_TRUE(log->Write(Bytes(" three")).ok());
  EXPECT_EQ(ReadText(*Open("/tmp/log"), 100), "ONE two three");
  log->set_flags(0);
  EXPECT_EQ(*log->Seek(0, abi::kSeekSet), 0u);
  ASSERT_TRUE(log->Write(Bytes("1")).ok());
  EXPECT_EQ(ReadText(*Open("/tmp/log"), 100), "1NE two three");
}

TEST_F(FileSystemTest, OpenFlags) {
  EXPECT_EQ(TryOpen("/tmp/f"), kNoEntry);
  EXPECT_EQ(TryOpen("/tmp/f", kWriteCreate | abi::kOpenExclusive), 0);
  EXPECT_EQ(TryOpen("/tmp/f", kWriteCreate | abi::kOpenExclusive), kExists);
  ASSERT_TRUE(Open("/tmp/f", abi::kOpenWriteOnly)->Write(Bytes("text")).ok());
  EXPECT_EQ(Stat("/tmp/f").size, 4);
  Open("/tmp/f", kWriteCreate);
  EXPECT_EQ(Stat("/tmp/f").size, 4);
  Open("/tmp/f", abi::kOpenWriteOnly | abi::kOpenTruncate);
  EXPECT_EQ(Stat("/tmp/f").size, 0);
  EXPECT_EQ(TryOpen("/tmp/new/", kWriteCreate), kIsDirectory);
  EXPECT_EQ(TryOpen("/tmp/no/new", kWriteCreate), kNoEntry);
  EXPECT_EQ(TryOpen("/tmp/f/new", kWriteCreate), kNotDirectory);
  EXPECT_EQ(TryOpen("/tmp", kWriteCreate), kIsDirectory);
  EXPECT_EQ(TryOpen("/tmp/d", kWriteCreate | abi::kOpenDirectory), kInvalid);
  EXPECT_EQ(TryOpen("/tmp/f", abi::kOpenAccessMask), kInvalid);
  // Opening for a path only gives no access, even to what cannot be written.
  auto path = Open("/lib/text", abi::kOpenPath | abi::kOpenReadWrite);
  EXPECT_EQ(ReadText(*path, 1), "error 9");
  abi::Stat stat;
  EXPECT_TRUE(path->GetStat(stat).ok());
}

TEST_F(FileSystemTest, TemporaryFilesHaveNoName) {
  constexpr int kTemporary = abi::kOpenTemporary | abi::kOpenDirectory;
  auto file = Open("/tmp", kTemporary | abi::kOpenReadWrite);
  ASSERT_TRUE(file->Write(Bytes("secret")).ok());
  EXPECT_EQ(List("/tmp").size(), 2u);
  EXPECT_EQ(*file->Seek(0, abi::kSeekSet), 0u);
  EXPECT_EQ(ReadText(*file, 10), "secret");
  EXPECT_EQ(pages_.used(), 1u);
  file = nullptr;
  EXPECT_EQ(pages_.used(), 0u);
  EXPECT_EQ(TryOpen("/tmp", kTemporary), kInvalid);
  EXPECT_EQ(TryOpen("/lib", kTemporary | abi::kOpenReadWrite), kReadOnly);
}

TEST_F(FileSystemTest, MakeRemoveRename) {
  EXPECT_EQ(MakeDirectory("/tmp/a"), 0);
  EXPECT_EQ(MakeDirectory("/tmp/a/b/"), 0);
  EXPECT_EQ(MakeDirectory("/tmp/a"), kExists);
  EXPECT_EQ(MakeDirectory("/"), kExists);
  EXPECT_EQ(MakeDirectory("/tmp/a/."), kExists);
  EXPECT_EQ(MakeDirectory("/tmp/x/y"), kNoEntry);
  Open("/tmp/a/b/f", kWriteCreate);
  EXPECT_EQ(RemoveDirectory("/tmp/a/b"), static_cast<int>(Errno::kNotEmpty));
  EXPECT_EQ(RemoveDirectory("/tmp/a/b/."), kInvalid);
  EXPECT_EQ(RemoveDirectory("/tmp/a/b/.."), static_cast<int>(Errno::kNotEmpty));
  EXPECT_EQ(RemoveDirectory("/tmp/a/b/f"), kNotDirectory);
  EXPECT_EQ(Unlink("/tmp/a/b"), kIsDirectory);
  EXPECT_EQ(Unlink("/tmp/a/b/f/"), kNotDirectory);
  EXPECT_EQ(Rename("/tmp/a/b", "/tmp/c"), 0);
  EXPECT_EQ(TryStat("/tmp/a/b"), kNoEntry);
  EXPECT_EQ(TryStat("/tmp/c/f"), 0);
  EXPECT_EQ(Rename("/tmp/c", "/tmp/a", abi::kRenameNoReplace), kExists);
  EXPECT_EQ(Rename("/tmp/c", "/tmp/a", 2), kInvalid);
  EXPECT_EQ(Rename("/tmp/c/f", "/tmp/g/"), kNotDirectory);
  EXPECT_EQ(Rename("/tmp/nope", "/tmp/x"), kNoEntry);
  EXPECT_EQ(Rename("/tmp/c/.", "/tmp/x"), static_cast<int>(Errno::kBusy));
  EXPECT_EQ(Unlink("/tmp/c/f"), 0);
  EXPECT_EQ(RemoveDirectory("/tmp/c/"), 0);
  EXPECT_EQ(RemoveDirectory("/tmp/a"), 0);
}

TEST_F(FileSystemTest, CurrentDirectoryMayMoveAndVanish) {
  ASSERT_EQ(MakeDirectory("/tmp/a"), 0);
  ASSERT_EQ(MakeDirectory("/tmp/a/b"), 0);
  auto here = *fs_->FindDirectory(fs_->root(), "/tmp/a/b");
  ASSERT_EQ(Rename("/tmp/a", "/tmp/z"), 0);
  EXPECT_EQ(fs_->tree().PathOf(here)->view(), "/tmp/z/b");
  ASSERT_EQ(RemoveDirectory("/tmp/z/b"), 0);
  EXPECT_EQ(fs_->tree().PathOf(here).error(), Errno::kNoEntry);
  EXPECT_EQ(Number(fs_->Open(here, "f", kWriteCreate, 0644)), kNoEntry);
  EXPECT_EQ(Number(fs_->Open(here, "..", 0, 0)), kNoEntry);
}

TEST_F(FileSystemTest, ListsTheUnion) {
  auto root = List("/");
  std::map<std::string, int> expected = {{".", 4},   {"..", 4},  {"bin", 4},
                                         {"lib", 4}, {"dev", 4}, {"proc", 4},
                                         {"tmp", 4}};
  EXPECT_EQ(root, expected);
  // What the archive has at the same names is hidden.
  EXPECT_EQ(TryOpen("/tmp/hidden"), kNoEntry);
  EXPECT_EQ(TryOpen("/dev/hidden"), kNoEntry);
  expected = {{".", 4},    {"..", 4},     {"null", 2},
              {"zero", 2}, {"random", 2}, {"urandom", 2}};
  EXPECT_EQ(List("/dev"), expected);
  expected = {{".", 4}, {"..", 4}, {"exe", 10}};
  EXPECT_EQ(List("/proc/self"), expected);
}

TEST_F(FileSystemTest, ListsInPiecesOfAnySize) {
  for (std::size_t size : {24, 25, 32, 100, 4096})
    EXPECT_EQ(List("/lib/none", size).size(), 102u) << size;
  auto directory = Open("/lib/none");
  std::byte small[16];
  EXPECT_EQ(directory->ReadDirectory(small).error(), Errno::kInvalid);
  EXPECT_EQ(Open("/lib/text")->ReadDirectory(small).error(),
            Errno::kNotDirectory);
  EXPECT_EQ(ReadText(*directory, 10), "error 21");
}

TEST_F(FileSystemTest, ListingSurvivesRemovalAndSeeks) {
  for (char name = 'a'; name < 'k'; ++name)
    Open(std::string("/tmp/") + name, kWriteCreate);
  auto directory = Open("/tmp");
  std::vector<std::byte> buffer(24 * 5);
  EXPECT_EQ(*directory->ReadDirectory(buffer), buffer.size());
  auto position = *directory->Seek(0, abi::kSeekCurrent);
  // a, b and c were shown; d and f go, k comes.
  ASSERT_EQ(Unlink("/tmp/a"), 0);
  ASSERT_EQ(Unlink("/tmp/d"), 0);
  ASSERT_EQ(Unlink("/tmp/f"), 0);
  Open("/tmp/k", kWriteCreate);
  auto rest = [&] {
    std::string names;
    std::vector<std::byte> one(24);
    while (*directory->ReadDirectory(one) > 0)
      names += static_cast<char>(one[abi::DirectoryRecord::kNameOffset]);
    return names;
  };
  EXPECT_EQ(rest(), "eghijk");
  EXPECT_EQ(
      *directory->Seek(static_cast<std::int64_t>(position), abi::kSeekSet),
      position);
  EXPECT_EQ(rest(), "eghijk");
  EXPECT_EQ(*directory->Seek(0, abi::kSeekSet), 0u);
  EXPECT_EQ(rest(), "..bceghijk");
  EXPECT_EQ(directory->Seek(-1, abi::kSeekSet).error(), Errno::kInvalid);
}

// The bytes between records come from kernel memory unless they are cleared.
TEST_F(FileSystemTest, RecordsHaveNoStrayBytes) {
  auto directory = Open("/lib");
  std::vector<std::byte> buffer(4096, std::byte{0xaa});
  auto size = *directory->ReadDirectory(buffer);
  for (std::size_t at = 0; at < size;) {
    abi::DirectoryRecord record;
    std::memcpy(&record, &buffer[at], abi::DirectoryRecord::kNameOffset);
    auto name = at + abi::DirectoryRecord::kNameOffset;
    while (buffer[name] != std::byte{0})
      ++name;
    for (; name < at + record.size; ++name)
      EXPECT_EQ(buffer[name], std::byte{0});
    at += record.size;
  }
}

TEST_F(FileSystemTest, Devices) {
  auto null = Open("/dev/null", abi::kOpenReadWrite);
  EXPECT_EQ(ReadText(*null, 10), "");
  EXPECT_EQ(*null->Write(Bytes("gone")), 4u);
  EXPECT_EQ(*null->Seek(5, abi::kSeekSet), 0u);
  EXPECT_EQ(ReadText(*Open("/dev/zero"), 3), std::string(3, '\0'));
  EXPECT_EQ(ReadText(*Open("/dev/urandom"), 3), "\7\7\7");
  EXPECT_EQ(ReadText(*Open("/dev/random"), 3), "\7\7\7");
  EXPECT_EQ(Stat("/dev/null").mode, 0020666u);
  EXPECT_EQ(Stat("/dev/null").special_device, 0x103u);
  EXPECT_EQ(TryOpen("/dev/new", kWriteCreate), kReadOnly);
  // open(os.devnull, "w") creates and truncates.
  EXPECT_EQ(TryOpen("/dev/null", abi::kOpenWriteOnly | abi::kOpenCreate |
                                     abi::kOpenTruncate),
            0);
}

TEST_F(FileSystemTest, LinkToTheExecutable) {
  char target[100];
  auto size = fs_->ReadLink(fs_->root(), "/proc/self/exe", target);
  ASSERT_TRUE(size.ok());
  EXPECT_EQ(std::string_view(target, *size), "/bin/python");
  size = fs_->ReadLink(fs_->root(), "/proc/self/exe", std::span(target, 4));
  EXPECT_EQ(std::string_view(target, *size), "/bin");
  EXPECT_EQ(Number(fs_->ReadLink(fs_->root(), "/bin/python", target)),
            kInvalid);
  EXPECT_EQ(Stat("/proc/self/exe").inode, Stat("/bin/python").inode);
  auto link = Stat("/proc/self/exe", false);
  EXPECT_EQ(link.mode & abi::kModeTypeMask, abi::kModeLink);
  EXPECT_EQ(link.size, 11);
  EXPECT_EQ(ReadText(*Open("/proc/self/exe"), 4), "\x7f"
                                                  "ELF");
  EXPECT_EQ(TryOpen("/proc/self/exe", abi::kOpenNoFollow),
            static_cast<int>(Errno::kLoop));
  EXPECT_EQ(TryOpen("/proc/self/exe/x"), kNotDirectory);
}

TEST_F(FileSystemTest, Access) {
  EXPECT_EQ(Access("/lib/text", 0), 0);
  EXPECT_EQ(Access("/lib/text", abi::kAccessRead), 0);
  EXPECT_EQ(Access("/lib/text", abi::kAccessWrite), kReadOnly);
  EXPECT_EQ(Access("/lib/text", abi::kAccessExecute),
            static_cast<int>(Errno::kAccess));
  EXPECT_EQ(Access("/bin/python", abi::kAccessExecute), 0);
  EXPECT_EQ(Access("/lib", abi::kAccessExecute), 0);
  EXPECT_EQ(Access("/tmp", abi::kAccessWrite), 0);
  EXPECT_EQ(Access("/dev/null", abi::kAccessWrite), 0);
  EXPECT_EQ(Access("/nope", 0), kNoEntry);
}

TEST_F(FileSystemTest, InodesTellFilesApart) {
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> seen;
  Open("/tmp/f", kWriteCreate);
  for (auto path : {"/", "/bin", "/bin/python", "/lib", "/lib/text", "/tmp",
                    "/tmp/f", "/dev", "/dev/null", "/dev/zero", "/dev/random",
                    "/dev/urandom", "/proc", "/proc/self"}) {
    auto stat = Stat(path);
    EXPECT_TRUE(seen.emplace(std::pair(stat.device, stat.inode), path).second)
        << path;
    abi::Stat open_stat;
    ASSERT_TRUE(Open(path)->GetStat(open_stat).ok());
    EXPECT_EQ(std::memcmp(&stat, &open_stat, sizeof(stat)), 0) << path;
  }
}

TEST_F(FileSystemTest, TimesAndPermissionsByPathAndDescriptor) {
  auto file = Open("/tmp/f", kWriteCreate);
  EXPECT_TRUE(fs_->SetPermissions(fs_->root(), "/tmp/f", 0600).ok());
  EXPECT_EQ(Stat("/tmp/f").mode, 0100600u);
  EXPECT_TRUE(file->SetPermissions(0640).ok());
  EXPECT_EQ(Stat("/tmp/f").mode, 0100640u);
  EXPECT_TRUE(fs_->SetTimes(fs_->root(), "/tmp/f", {1, 2}, {3, 4}).ok());
  EXPECT_EQ(Stat("/tmp/f").modified.seconds, 3);
  auto directory = Open("/tmp");
  EXPECT_TRUE(directory->SetTimes({5, 6}, {7, 8}).ok());
  EXPECT_TRUE(directory->SetPermissions(0700).ok());
  EXPECT_EQ(Stat("/tmp").accessed.seconds, 5);
  EXPECT_EQ(Stat("/tmp").mode, 0040700u);
  EXPECT_EQ(Open("/lib/text")->SetTimes({}, {}).error(), Errno::kReadOnly);
}

}  // namespace
