#include "files/Archive.h"

#include <functional>
#include <set>

#include <gtest/gtest.h>

#include "ArchiveImage.h"

namespace {

using ebbrt::Archive;
using ebbrt::Errno;

std::string text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class ArchiveTest : public testing::Test {
 protected:
  std::uint32_t Find(std::string path) {
    std::uint32_t at = Archive::kRoot;
    while (!path.empty()) {
      auto slash = std::min(path.find('/'), path.size());
      auto found = archive_.Find(at, path.substr(0, slash));
      EXPECT_TRUE(found.ok()) << path;
      at = *found;
      path.erase(0, slash + 1);
    }
    return at;
  }

  ArchiveImage image_ = ArchiveImage::FromFile(ARCHIVE_FIXTURE);
  Archive archive_ = image_.Open();
};

TEST_F(ArchiveTest, FindsWhatWasPacked) {
  EXPECT_EQ(text(archive_.contents(Find("lib/text"))), "hello\n");
  EXPECT_EQ(text(archive_.contents(Find("lib/deep/deeper/text"))), "deep\n");
  EXPECT_EQ(archive_.contents(Find("lib/empty")).size(), 0u);
  for (int number = 0; number < 100; ++number) {
    char name[32];
    std::snprintf(name, sizeof(name), "lib/none/%03d", number);
    EXPECT_EQ(text(archive_.contents(Find(name))), std::to_string(number));
  }
}

TEST_F(ArchiveTest, KeepsModesAndOneTime) {
  EXPECT_EQ(archive_.entry(Find("bin/python")).mode, 0100755u);
  EXPECT_EQ(archive_.entry(Find("lib/read_only")).mode, 0100444u);
  EXPECT_EQ(archive_.entry(Find("lib")).mode, 0040755u);
  EXPECT_EQ(archive_.modified(), 1700000000);
}

TEST_F(ArchiveTest, LinksBecomeTheirTargetsAndShareData) {
  auto program = archive_.contents(Find("bin/python"));
  EXPECT_EQ(archive_.contents(Find("bin/python3")).data(), program.data());
  EXPECT_EQ(program.size(), 4u + 256 * 40);
}

TEST_F(ArchiveTest, SaysWhatIsMissing) {
  EXPECT_EQ(archive_.Find(Archive::kRoot, "nope").error(), Errno::kNoEntry);
  EXPECT_EQ(archive_.Find(Archive::kRoot, "").error(), Errno::kNoEntry);
  EXPECT_EQ(archive_.Find(Find("lib/text"), "x").error(), Errno::kNotDirectory);
}

TEST_F(ArchiveTest, ContentsArePagesPaddedWithZeros) {
  for (std::uint32_t index = 0; index < archive_.entry_count(); ++index) {
    if (archive_.is_directory(index))
      continue;
    auto contents = archive_.contents(index);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(contents.data()) % 4096, 0u);
    for (auto at = contents.size(); at % 4096 != 0; ++at)
      ASSERT_EQ(contents.data()[at], std::byte{0}) << archive_.name(index);
  }
}

TEST_F(ArchiveTest, MayBeFollowedByOtherThings) {
  std::string longer = text(image_.bytes()) + std::string(4096, 'x');
  ArchiveImage image(std::as_bytes(std::span(longer)));
  EXPECT_EQ(image.Open().entry_count(), archive_.entry_count());
}

TEST_F(ArchiveTest, RefusesEveryTruncation) {
  auto whole = image_.bytes();
  std::set<std::size_t> sizes{0, 1, 63, 64, whole.size() - 1};
  for (std::size_t size = 0; size < whole.size(); size += 511)
    sizes.insert(size);
  for (auto size : sizes) {
    ArchiveImage cut(whole.first(size));
    EXPECT_FALSE(Archive::Open(cut.bytes()).ok()) << size;
  }
}

TEST_F(ArchiveTest, RefusesEveryFlippedBitOfTheIndex) {
  for (std::size_t at = 0; at < image_.header().data_offset; ++at) {
    auto bit = static_cast<std::byte>(1 << (at % 8));
    image_.bytes()[at] ^= bit;
    ASSERT_FALSE(Archive::Open(image_.bytes()).ok()) << at;
    image_.bytes()[at] ^= bit;
  }
}

TEST_F(ArchiveTest, RefusesUnalignedMemory) {
  EXPECT_EQ(Archive::Open(image_.bytes().subspan(8)).error(), Errno::kFault);
}

// One thing wrong at a time, the check sum right.
TEST_F(ArchiveTest, RefusesFalseIndexes) {
  auto file = Find("lib/text");
  auto directory = Find("lib");
  struct Case {
    const char* what;
    std::function<void(ArchiveImage&)> spoil;
  };
  const Case cases[] = {
      {"magic", [](auto& i) { i.header().magic[0] = 'X'; }},
      {"no entries", [](auto& i) { i.header().entry_count = 0; }},
      {"many entries", [](auto& i) { i.header().entry_count = ~0u; }},
      {"one entry more", [](auto& i) { ++i.header().entry_count; }},
      {"one entry less", [](auto& i) { --i.header().entry_count; }},
      {"entries high", [](auto& i) { i.header().entries_offset = ~7ull; }},
      {"entries odd", [](auto& i) { i.header().entries_offset += 1; }},
      {"entries in header", [](auto& i) { i.header().entries_offset = 0; }},
      {"names high", [](auto& i) { i.header().names_offset = ~0ull; }},
      {"names long", [](auto& i) { i.header().names_size = ~0ull; }},
      {"total odd", [](auto& i) { i.header().total_size -= 1; }},
      {"total long", [](auto& i) { i.header().total_size += 4096; }},
      {"total short", [](auto& i) { i.header().total_size -= 4096; }},
      {"root a file", [](auto& i) { i.entry(0).mode = 0100644; }},
      {"root's parent", [](auto& i) { i.entry(0).parent = 1; }},
      {"type", [=](auto& i) { i.entry(file).mode = 0120777; }},
      {"file odd", [=](auto& i) { i.entry(file).data_offset += 1; }},
      {"file in index", [=](auto& i) { i.entry(file).data_offset = 0; }},
      {"file high", [=](auto& i) { i.entry(file).data_offset = ~4095ull; }},
      {"file long", [=](auto& i) { i.entry(file).size = ~0ull; }},
      {"file child", [=](auto& i) { i.entry(file).child_count = 1; }},
      {"file first", [=](auto& i) { i.entry(file).first_child = 1; }},
      {"parent", [=](auto& i) { i.entry(file).parent = 0; }},
      {"name high", [=](auto& i) { i.entry(file).name_offset = ~0u; }},
      {"name long", [=](auto& i) { i.entry(file).name_size = ~0u; }},
      {"name empty", [=](auto& i) { i.entry(file).name_size = 0; }},
      {"name order",
       [=](auto& i) {
         i.entry(file).name_offset = i.entry(directory).name_offset;
         i.entry(file).name_size = 1;
       }},
      {"directory size", [=](auto& i) { i.entry(directory).size = 1; }},
      {"loop", [=](auto& i) { i.entry(directory).first_child = directory; }},
      {"first child", [=](auto& i) { ++i.entry(directory).first_child; }},
      {"children lost", [=](auto& i) { --i.entry(directory).child_count; }},
      {"no children", [=](auto& i) { i.entry(directory).child_count = 0; }},
      {"children gained", [=](auto& i) { ++i.entry(directory).child_count; }},
      {"many children", [=](auto& i) { i.entry(directory).child_count = ~0u; }},
  };
  for (auto& spoiled : cases) {
    ArchiveImage copy(image_.bytes());
    spoiled.spoil(copy);
    copy.Seal();
    auto result = Archive::Open(copy.bytes());
    ASSERT_FALSE(result.ok()) << spoiled.what;
    EXPECT_EQ(result.error(), Errno::kBadMessage) << spoiled.what;
  }
}

TEST_F(ArchiveTest, RefusesNamesThatPathsCannotReach) {
  auto& entry = image_.entry(Find("lib/text"));
  auto name = reinterpret_cast<char*>(image_.bytes().data()) +
              image_.header().names_offset + entry.name_offset;
  for (auto bad : {'/', '\0'}) {
    auto kept = name[2];
    name[2] = bad;
    image_.Seal();
    EXPECT_FALSE(Archive::Open(image_.bytes()).ok());
    name[2] = kept;
  }
}

}  // namespace
