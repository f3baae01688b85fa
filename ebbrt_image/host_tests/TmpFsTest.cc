#include "files/TmpFs.h"

#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "Bytes.h"
#include "FakePages.h"

namespace {

using ebbrt::Errno;
using ebbrt::MakeRef;
using ebbrt::RefPtr;
using ebbrt::TmpFs;
using ebbrt::TmpInode;
using ebbrt::TmpStorage;

constexpr std::size_t kPage = 4096;
constexpr std::uint32_t kFile = ebbrt::abi::kModeRegular | 0644;
constexpr std::uint32_t kDirectory = ebbrt::abi::kModeDirectory | 0755;

class TmpFsTest : public testing::Test {
 protected:
  static constexpr std::size_t kPages = 64;
  static constexpr std::size_t kInodes = 16;

  ~TmpFsTest() override {
    fs_.reset();
    EXPECT_EQ(pages_.used(), 0u);
  }

  RefPtr<TmpInode> Make(TmpInode& directory, const char* name,
                        std::uint32_t mode = kFile) {
    auto made = fs_->Create(directory, name, mode);
    EXPECT_TRUE(made.ok()) << name;
    return *made;
  }
  TmpInode& root() { return *fs_->root(); }
  const TmpStorage& storage() { return fs_->storage(); }

  FakePages pages_;
  std::unique_ptr<TmpFs> fs_ = std::make_unique<TmpFs>(MakeRef<TmpStorage>(
      pages_, FakeClock, TmpStorage::Limits{kPages, kInodes}));
};

std::string Contents(const TmpInode& inode) {
  std::vector<std::byte> bytes(inode.size() + 10);
  auto size = inode.Read(0, bytes);
  return Text(std::span(bytes).first(size));
}

TEST_F(TmpFsTest, CreateFindUnlink) {
  auto file = Make(root(), "a");
  EXPECT_EQ(*fs_->Find(root(), "a"), file);
  EXPECT_EQ(fs_->Find(root(), "b").error(), Errno::kNoEntry);
  EXPECT_EQ(fs_->Create(root(), "a", kFile).error(), Errno::kExists);
  EXPECT_EQ(fs_->Find(*file, "x").error(), Errno::kNotDirectory);
  EXPECT_EQ(fs_->Create(*file, "x", kFile).error(), Errno::kNotDirectory);
  EXPECT_TRUE(fs_->Unlink(root(), "a").ok());
  EXPECT_EQ(fs_->Unlink(root(), "a").error(), Errno::kNoEntry);
}

TEST_F(TmpFsTest, NamesHaveALimit) {
  std::string name(255, 'n');
  Make(root(), name.c_str());
  name += 'n';
  EXPECT_EQ(fs_->Create(root(), name, kFile).error(), Errno::kNameTooLong);
  EXPECT_EQ(fs_->Rename(root(), name.substr(1), root(), name, true).error(),
            Errno::kNameTooLong);
}

TEST_F(TmpFsTest, DirectoriesAreRemovedOnlyWhenEmpty) {
  auto directory = Make(root(), "d", kDirectory);
  Make(*directory, "f");
  EXPECT_EQ(fs_->RemoveDirectory(root(), "d").error(), Errno::kNotEmpty);
  EXPECT_EQ(fs_->Unlink(root(), "d").error(), Errno::kIsDirectory);
  EXPECT_EQ(fs_->RemoveDirectory(*directory, "f").error(),
            Errno::kNotDirectory);
  EXPECT_TRUE(fs_->Unlink(*directory, "f").ok());
  EXPECT_TRUE(fs_->RemoveDirectory(root(), "d").ok());
  // Held, but gone: nothing can be put there any more.
  EXPECT_EQ(fs_->Create(*directory, "g", kFile).error(), Errno::kNoEntry);
  Make(root(), "f2");
  EXPECT_EQ(fs_->Rename(root(), "f2", *directory, "x", true).error(),
            Errno::kNoEntry);
}

TEST_F(TmpFsTest, DeletedFileKeepsItsDataWhileHeld) {
  auto file = Make(root(), "f");
  ASSERT_TRUE(file->Write(0, Bytes("kept")).ok());
  ASSERT_TRUE(fs_->Unlink(root(), "f").ok());
  EXPECT_EQ(Contents(*file), "kept");
  ebbrt::abi::Stat stat;
  file->FillStat(stat);
  EXPECT_EQ(stat.links, 0u);
  EXPECT_EQ(pages_.used(), 1u);
  EXPECT_EQ(storage().inodes_used(), 2u);
  file = nullptr;
  EXPECT_EQ(pages_.used(), 0u);
  EXPECT_EQ(storage().inodes_used(), 1u);
}

TEST_F(TmpFsTest, FileMayOutliveTheFileSystem) {
  auto file = Make(*Make(root(), "d", kDirectory), "f");
  ASSERT_TRUE(file->Write(0, Bytes("kept")).ok());
  fs_.reset();
  EXPECT_EQ(Contents(*file), "kept");
  EXPECT_TRUE(file->removed());
}

TEST_F(TmpFsTest, HolesReadAsZerosAndTakeNoPages) {
  auto file = Make(root(), "f");
  ASSERT_TRUE(file->Truncate(1ull << 39).ok());
  EXPECT_EQ(storage().pages_used(), 0u);
  auto far = (1ull << 38) + 5;
  EXPECT_EQ(*file->Write(far, Bytes("far")), 3u);
  EXPECT_EQ(storage().pages_used(), 1u);
  std::vector<std::byte> bytes(2 * kPage);
  EXPECT_EQ(file->Read(far - kPage, bytes), bytes.size());
  std::string expected(2 * kPage, '\0');
  expected.replace(kPage, 3, "far");
  EXPECT_EQ(Text(bytes), expected);
  ebbrt::abi::Stat stat;
  file->FillStat(stat);
  EXPECT_EQ(stat.size, 1ll << 39);
  EXPECT_EQ(stat.blocks, 8);
  EXPECT_EQ(file->PageAt(0), nullptr);
  EXPECT_NE(file->PageAt(far / kPage), nullptr);
}

TEST_F(TmpFsTest, TruncateFreesPagesAndForgetsWhatWasThere) {
  auto file = Make(root(), "f");
  ASSERT_TRUE(file->Write(0, Bytes(std::string(3 * kPage, 'x'))).ok());
  EXPECT_EQ(storage().pages_used(), 3u);
  ASSERT_TRUE(file->Truncate(kPage + 1).ok());
  EXPECT_EQ(storage().pages_used(), 2u);
  ASSERT_TRUE(file->Truncate(2 * kPage).ok());
  EXPECT_EQ(Contents(*file),
            std::string(kPage + 1, 'x') + std::string(kPage - 1, '\0'));
  ASSERT_TRUE(file->Truncate(0).ok());
  EXPECT_EQ(storage().pages_used(), 0u);
  EXPECT_EQ(file->Truncate(TmpInode::kMaxSize + 1).error(), Errno::kFileTooBig);
  EXPECT_EQ(file->Write(TmpInode::kMaxSize, Bytes("x")).error(),
            Errno::kFileTooBig);
}

TEST_F(TmpFsTest, PagesHaveALimit) {
  auto file = Make(root(), "f");
  std::string big((kPages + 2) * kPage, 'x');
  EXPECT_EQ(*file->Write(100, Bytes(big)), kPages * kPage - 100);
  EXPECT_EQ(file->size(), kPages * kPage);
  EXPECT_EQ(file->Write(file->size(), Bytes("x")).error(), Errno::kNoSpace);
  EXPECT_EQ(*file->Write(5, Bytes("fits")), 4u);
  auto other = Make(root(), "g");
  EXPECT_EQ(other->Write(0, Bytes("x")).error(), Errno::kNoSpace);
  ASSERT_TRUE(file->Truncate(0).ok());
  EXPECT_EQ(*other->Write(0, Bytes("x")), 1u);
}

TEST_F(TmpFsTest, NoMemoryIsNoSpace) {
  FakePages few(1);
  TmpFs fs(MakeRef<TmpStorage>(few, FakeClock, TmpStorage::Limits{10, 10}));
  auto file = fs.Create(*fs.root(), "f", kFile);
  EXPECT_EQ(*(*file)->Write(0, Bytes(std::string(2 * kPage, 'x'))), kPage);
  EXPECT_EQ((*file)->Write(kPage, Bytes("x")).error(), Errno::kNoSpace);
}

TEST_F(TmpFsTest, InodesHaveALimit) {
  std::vector<std::string> names;
  for (std::size_t i = 1; i < kInodes; ++i) {
    names.push_back("f" + std::to_string(i));
    Make(root(), names.back().c_str());
  }
  EXPECT_EQ(fs_->Create(root(), "more", kFile).error(), Errno::kNoSpace);
  EXPECT_EQ(fs_->CreateUnnamed(0600).error(), Errno::kNoSpace);
  EXPECT_EQ(root().FindChild("more"), nullptr);
  ASSERT_TRUE(fs_->Unlink(root(), names[3]).ok());
  EXPECT_TRUE(fs_->CreateUnnamed(0600).ok());
}

TEST_F(TmpFsTest, RenameMovesAndReplaces) {
  auto file = Make(root(), "a");
  auto directory = Make(root(), "d", kDirectory);
  ASSERT_TRUE(fs_->Rename(root(), "a", *directory, "b", true).ok());
  EXPECT_EQ(*fs_->Find(*directory, "b"), file);
  EXPECT_EQ(fs_->Find(root(), "a").error(), Errno::kNoEntry);

  auto other = Make(root(), "c");
  auto inodes = storage().inodes_used();
  EXPECT_EQ(fs_->Rename(*directory, "b", root(), "c", false).error(),
            Errno::kExists);
  ASSERT_TRUE(fs_->Rename(*directory, "b", root(), "c", true).ok());
  EXPECT_EQ(*fs_->Find(root(), "c"), file);
  EXPECT_TRUE(other->removed());
  other = nullptr;
  EXPECT_EQ(storage().inodes_used(), inodes - 1);

  // Onto itself: nothing happens.
  ASSERT_TRUE(fs_->Rename(root(), "c", root(), "c", true).ok());
  EXPECT_EQ(*fs_->Find(root(), "c"), file);
}

TEST_F(TmpFsTest, RenameKeepsTheTreeATree) {
  auto a = Make(root(), "a", kDirectory);
  auto b = Make(*a, "b", kDirectory);
  auto c = Make(*b, "c", kDirectory);
  Make(root(), "f");
  EXPECT_EQ(fs_->Rename(root(), "a", *c, "x", true).error(), Errno::kInvalid);
  EXPECT_EQ(fs_->Rename(root(), "a", *a, "x", true).error(), Errno::kInvalid);
  EXPECT_EQ(fs_->Rename(*a, "b", root(), "a", true).error(), Errno::kNotEmpty);
  EXPECT_EQ(fs_->Rename(root(), "a", root(), "f", true).error(),
            Errno::kNotDirectory);
  EXPECT_EQ(fs_->Rename(root(), "f", root(), "a", true).error(),
            Errno::kIsDirectory);
  ASSERT_TRUE(fs_->Rename(*b, "c", root(), "c", true).ok());
  EXPECT_EQ(c->parent(), &root());
  ASSERT_TRUE(fs_->Rename(root(), "c", *a, "b", true).ok());
  EXPECT_EQ(*fs_->Find(*a, "b"), c);
}

TEST_F(TmpFsTest, TimesAndPermissions) {
  auto file = Make(root(), "f");
  ebbrt::abi::Stat before;
  ebbrt::abi::Stat after;
  file->FillStat(before);
  ASSERT_TRUE(file->Write(0, Bytes("x")).ok());
  file->FillStat(after);
  EXPECT_GT(after.modified.seconds, before.modified.seconds);
  EXPECT_GT(after.changed.seconds, before.changed.seconds);
  EXPECT_EQ(after.accessed.seconds, before.accessed.seconds);
  file->set_times({1, 2}, {3, 4});
  file->set_permissions(0177600);
  file->FillStat(after);
  EXPECT_EQ(after.accessed.seconds, 1);
  EXPECT_EQ(after.modified.nanoseconds, 4);
  EXPECT_EQ(after.mode, ebbrt::abi::kModeRegular | 07600);
  auto directory = Make(root(), "d", kDirectory);
  Make(*directory, "e", kDirectory);
  directory->FillStat(after);
  EXPECT_EQ(after.links, 3u);
}

TEST(TmpFsDepth, DeepTreesAreTakenApartWithoutDeepStacks) {
  constexpr std::size_t kDepth = 200000;
  FakePages pages;
  auto storage =
      MakeRef<TmpStorage>(pages, FakeClock, TmpStorage::Limits{1, kDepth + 1});
  {
    TmpFs fs(storage);
    auto at = fs.root();
    for (std::size_t i = 0; i < kDepth; ++i)
      at = *fs.Create(*at, "d", kDirectory);
  }
  EXPECT_EQ(storage->inodes_used(), 0u);
}

// Reads and writes at random places against a plain array.
TEST_F(TmpFsTest, AgreesWithAModel) {
  std::mt19937 random(11);
  auto file = Make(root(), "f");
  std::string model;
  constexpr std::size_t kSpace = 40 * kPage;
  for (int i = 0; i < 3000; ++i) {
    auto offset = random() % kSpace;
    std::vector<std::byte> bytes(random() % (3 * kPage));
    switch (random() % 4) {
    case 0:
      offset /= 1 + random() % 40;
      ASSERT_TRUE(file->Truncate(offset).ok());
      model.resize(offset);
      break;
    case 1: {
      auto size = file->Read(offset, bytes);
      auto start = std::min(offset, model.size());
      ASSERT_EQ(Text(std::span(bytes).first(size)),
                model.substr(start, bytes.size()));
      break;
    }
    default:
      for (auto& byte : bytes)
        byte = static_cast<std::byte>(random());
      ASSERT_EQ(*file->Write(offset, bytes), bytes.size());
      if (!bytes.empty() && model.size() < offset + bytes.size())
        model.resize(offset + bytes.size());
      model.replace(offset < model.size() ? offset : 0, bytes.size(),
                    Text(bytes));
      break;
    }
    ASSERT_EQ(file->size(), model.size());
    ASSERT_LE(storage().pages_used(), (model.size() + kPage - 1) / kPage);
  }
  EXPECT_EQ(Contents(*file), model);
}

}  // namespace
