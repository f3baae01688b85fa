#include "files/StateReader.h"

#include <vector>

#include "StateParts.h"
#include "files/Epoll.h"
#include "files/EventFd.h"
#include "files/Pipe.h"
#include "files/SocketEnd.h"

namespace {

namespace abi = ebbrt::abi;
using ebbrt::Errno;
using ebbrt::MakeRef;
using ebbrt::StateBuffer;

constexpr int kNewFile = abi::kOpenReadWrite | abi::kOpenCreate;
constexpr std::uint32_t kDirectoryMode = 0040755;

using StateReaderTest = StateReadingTest;

// One of everything, with sharing.
void Fill(FileSide& side) {
  auto file = side.Open("/tmp/file", kNewFile);
  ASSERT_TRUE(side.Get(file)->Write(Bytes("contents")).ok());
  ASSERT_TRUE(side.files->MakeDirectory(side.directory, "/tmp/d", 0755).ok());
  side.Open("/tmp/d/below", kNewFile);
  ASSERT_TRUE(side.files->Unlink(side.directory, "/tmp/file").ok());
  side.Open("/tmp/d", abi::kOpenDirectory);
  side.Open("/lib/text", 0);
  side.Open("/dev/urandom", 0);
  auto pipe = ebbrt::MakePipe(abi::kOpenNonBlock);
  ASSERT_TRUE(pipe.writer->Write(Bytes("in the pipe")).ok());
  auto reader = side.Add(std::move(pipe.reader));
  side.Add(std::move(pipe.writer), true);
  auto pair = ebbrt::MakeSocketPair(0);
  side.Add(std::move(pair.first));
  side.Add(std::move(pair.second));
  side.Add(MakeRef<ebbrt::EventFd>(2, true, 0));
  side.Add(MakeRef<FakeConsole>(0, 9));
  auto epoll = side.Add(MakeRef<ebbrt::Epoll>());
  ASSERT_TRUE(side.As<ebbrt::Epoll>(epoll)
                  .Add(reader, *side.Get(reader), {abi::kPollIn, 77})
                  .ok());
  ASSERT_TRUE(side.table.Duplicate(reader, true).ok());
  side.directory = side.files->FindDirectory(side.directory, "/tmp/d").value();
}

TEST_F(StateReaderTest, EverythingComesBack) {
  FileSide side(pages_);
  Fill(side);
  auto state = side.Save();
  auto loaded = FileSide::Load(pages_, state, 3);
  ASSERT_NE(loaded, nullptr);
  EXPECT_EQ(loaded->Save(), state);
  EXPECT_EQ(side.Clone(pages_)->Save(), state);
  EXPECT_EQ(loaded->files->tree().PathOf(loaded->directory).value(), "/tmp/d");
  EXPECT_EQ(loaded->As<FakeConsole>(10).owner(), 3);
  std::vector<abi::EpollEvent> events(4);
  ASSERT_EQ(loaded->As<ebbrt::Epoll>(11).Collect(events), 1u);
  EXPECT_EQ(std::uint64_t{events[0].data}, 77u);
  EXPECT_EQ(ReadText(*loaded->Get(12), 99), "in the pipe");
  EXPECT_EQ(ReadText(*side.Get(5), 99), "in the pipe");
  ASSERT_TRUE(loaded->Get(0)->Seek(0, abi::kSeekSet).ok());
  EXPECT_EQ(ReadText(*loaded->Get(0), 99), "contents");
}

TEST_F(StateReaderTest, EveryCutAndEveryFlippedBitIsNoticed) {
  FileSide side(pages_);
  Fill(side);
  auto state = side.Save();
  for (std::size_t size = 0; size < state.size(); ++size)
    ASSERT_EQ(Read(std::span(state).first(size)), kDamaged) << size;
  for (std::size_t bit = 0; bit < state.size() * 8; ++bit) {
    state[bit / 8] ^= std::byte{1} << bit % 8;
    // The version has a place of its own, to be told before all else.
    auto version = bit / 8 >= 8 && bit / 8 < 12;
    ASSERT_EQ(Read(state), version ? kOtherVersion : kDamaged) << bit;
    state[bit / 8] ^= std::byte{1} << bit % 8;
  }
  state.push_back(std::byte{0});
  EXPECT_EQ(Read(state), kDamaged);
}

TEST_F(StateReaderTest, Versions) {
  StateParts parts;
  parts.AddDirectory();
  EXPECT_EQ(Read(parts), kGood);
  parts.version = 2;
  EXPECT_EQ(Read(parts), kOtherVersion);
}

TEST_F(StateReaderTest, Sections) {
  StateParts shifted;
  shifted.AddDirectory();
  shifted.first_section = 2;
  EXPECT_EQ(Read(shifted), kDamaged);
  for (auto section :
       {&StateParts::names, &StateParts::inodes, &StateParts::channels,
        &StateParts::descriptors, &StateParts::numbers}) {
    StateParts too_long;
    too_long.AddDirectory();
    (too_long.*section).Add8(0);
    EXPECT_EQ(Read(too_long), kDamaged);
  }
}

TEST_F(StateReaderTest, OtherExecutableOrArchive) {
  FileSide side(pages_);
  auto state = side.Save();
  FakeConsoles consoles(0);
  ebbrt::StateReader reader({FileSide::archive(), FileSide::MakeStorage(pages_),
                             FileSide::Random, "/bin/other", consoles, 4});
  auto read = reader.Read(state);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error(), Errno::kInvalid);
  auto image = ArchiveImage::FromFile(ARCHIVE_FIXTURE);
  ++image.header().modified;
  image.Seal();
  auto archive = image.Open();
  ebbrt::StateReader other({archive, FileSide::MakeStorage(pages_),
                            FileSide::Random, FileSide::kExecutable, consoles,
                            4});
  EXPECT_EQ(static_cast<int>(other.Read(state).error()), kForeign);
}

TEST_F(StateReaderTest, LimitsAndMemory) {
  auto make = [](std::size_t files, std::uint32_t page_count) {
    StateParts parts;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < files; ++i)
      names.push_back("f" + std::to_string(i));
    parts.AddDirectory({names.begin(), names.end()});
    for (std::size_t i = 0; i < files; ++i) {
      parts.AddFile(4096 * 100, i == 0 ? page_count : 0);
      for (std::uint32_t page = 0; i == 0 && page < page_count; ++page)
        parts.AddPage(page, "p");
    }
    return parts.Join();
  };
  auto limits = FileSide::kLimits;
  EXPECT_EQ(Read(make(limits.inodes - 1, limits.pages)), kGood);
  EXPECT_EQ(Read(make(limits.inodes, 0)), kNoSpace);
  EXPECT_EQ(Read(make(1, limits.pages + 1)), kNoSpace);
  FakePages few(3);
  EXPECT_EQ(FileSide::Load(few, make(1, 4)), nullptr);
  EXPECT_EQ(few.used(), 0u);
  EXPECT_NE(FileSide::Load(few, make(1, 3)), nullptr);
}

TEST_F(StateReaderTest, NamesInDirectories) {
  auto read = [this](std::vector<std::string_view> names) {
    StateParts parts;
    parts.AddDirectory(names);
    for (std::size_t i = 0; i < names.size(); ++i)
      parts.AddFile();
    return Read(parts);
  };
  EXPECT_EQ(read({"a", "b", "..."}), kGood);
  EXPECT_EQ(read({std::string(255, 'n')}), kGood);
  for (auto name :
       {std::string(""), std::string("."), std::string(".."),
        std::string("a/b"), std::string("a\0b", 3), std::string(256, 'n')})
    EXPECT_EQ(read({name}), kDamaged) << name;
  EXPECT_EQ(read({"a", "b", "a"}), kDamaged);
}

TEST_F(StateReaderTest, CookiesGrow) {
  auto read = [this](std::uint64_t first, std::uint64_t second,
                     std::uint64_t next) {
    StateParts parts;
    parts.AddInode(kDirectoryMode);
    parts.inodes.Add64(next);
    parts.inodes.Add32(2);
    parts.inodes.Add64(first);
    parts.inodes.AddText("a");
    parts.inodes.Add64(second);
    parts.inodes.AddText("b");
    parts.AddFile();
    parts.AddFile();
    return Read(parts);
  };
  EXPECT_EQ(read(3, 9, 10), kGood);
  EXPECT_EQ(read(3, 3, 10), kDamaged);
  EXPECT_EQ(read(4, 3, 10), kDamaged);
  EXPECT_EQ(read(3, 10, 10), kDamaged);
}

TEST_F(StateReaderTest, TreesOnly) {
  StateParts none;
  EXPECT_EQ(Read(none), kDamaged);
  StateParts file_as_root;
  file_as_root.AddFile();
  EXPECT_EQ(Read(file_as_root), kDamaged);
  StateParts missing;
  missing.AddDirectory({"a"});
  EXPECT_EQ(Read(missing), kDamaged);
  StateParts unused;
  unused.AddDirectory();
  unused.AddFile();
  EXPECT_EQ(Read(unused), kDamaged);
  // Nobody names inode 1, whose entry would be itself.
  StateParts itself;
  itself.AddDirectory();
  itself.AddDirectory({"a"});
  EXPECT_EQ(Read(itself), kDamaged);
  StateParts chain;
  chain.AddDirectory({"a"});
  chain.AddDirectory({"b"});
  chain.AddDirectory();
  EXPECT_EQ(Read(chain), kGood);
  StateParts strange;
  strange.AddInode(0120777);
  EXPECT_EQ(Read(strange), kDamaged);
  StateParts sticky;
  sticky.AddInode(kDirectoryMode | 1u << 20);
  sticky.inodes.Add64(0);
  sticky.inodes.Add32(0);
  EXPECT_EQ(Read(sticky), kDamaged);
}

TEST_F(StateReaderTest, InodeNumbers) {
  StateParts parts;
  parts.AddDirectory({"a"});
  parts.AddFile();
  parts.last_number = 2;
  auto side = FileSide::Load(pages_, parts.Join());
  ASSERT_NE(side, nullptr);
  auto fresh = side->Open("/tmp/b", kNewFile);
  abi::Stat stat;
  ASSERT_TRUE(side->Get(fresh)->GetStat(stat).ok());
  EXPECT_EQ(stat.inode, 3u);
  parts.last_number = 1;
  EXPECT_EQ(Read(parts), kDamaged);
}

TEST_F(StateReaderTest, PagesOfFiles) {
  struct Page {
    std::uint64_t index;
    std::string bytes;
  };
  auto read = [this](std::uint64_t size, const std::vector<Page>& pages) {
    StateParts parts;
    parts.AddDirectory({"f"});
    parts.AddFile(size, static_cast<std::uint32_t>(pages.size()));
    for (auto& page : pages)
      parts.AddPage(page.index, page.bytes);
    return Read(parts);
  };
  EXPECT_EQ(read(8192, {{0, "x"}, {1, std::string(4096, 'y')}}), kGood);
  EXPECT_EQ(read(8192, {{1, ""}}), kGood);
  EXPECT_EQ(read(8192, {{1, "x"}, {0, "x"}}), kDamaged);
  EXPECT_EQ(read(8192, {{1, "x"}, {1, "x"}}), kDamaged);
  EXPECT_EQ(read(8192, {{2, "x"}}), kDamaged);
  EXPECT_EQ(read(8192, {{1, std::string("x\0", 2)}}), kDamaged);
  EXPECT_EQ(read(4097, {{1, "xy"}}), kDamaged);
  EXPECT_EQ(read(1 << 20, {{1, std::string(4097, 'y')}}), kDamaged);
  EXPECT_EQ(read(std::uint64_t{1} << 40, {}), kGood);
  EXPECT_EQ(read((std::uint64_t{1} << 40) + 1, {}), kDamaged);
  StateParts rest;
  rest.AddDirectory();
  rest.pages = "x";
  EXPECT_EQ(Read(rest), kDamaged);
}

TEST_F(StateReaderTest, Directories) {
  using Kind = ebbrt::Place::Kind;
  auto read = [this](Kind kind, std::uint32_t index, std::uint64_t cookie = 9) {
    StateParts parts;
    parts.AddDirectory({"d", "f"});
    parts.AddDirectory();
    parts.AddFile();
    parts.SetDirectory(kind, index);
    auto as_current = Read(parts);
    parts.SetDirectory(Kind::kArchive, 0);
    parts.AddDescriptor(ebbrt::StateKind::kDirectory, abi::kOpenDirectory,
                        [&](StateBuffer& body) {
                          body.Add8(static_cast<std::uint8_t>(kind));
                          body.Add32(index);
                          body.Add64(cookie);
                        });
    auto as_descriptor = Read(parts);
    EXPECT_TRUE(as_descriptor == as_current || cookie > INT64_MAX);
    return as_descriptor;
  };
  auto& archive = FileSide::archive();
  std::uint32_t file = 0;
  while (archive.is_directory(file))
    ++file;
  EXPECT_EQ(read(Kind::kArchive, 1), kGood);
  EXPECT_EQ(read(Kind::kArchive, file), kDamaged);
  EXPECT_EQ(read(Kind::kArchive, archive.entry_count()), kDamaged);
  EXPECT_EQ(read(Kind::kTmp, 1), kGood);
  EXPECT_EQ(read(Kind::kTmp, 1, INT64_MAX), kGood);
  EXPECT_EQ(read(Kind::kTmp, 1, std::uint64_t{1} << 63), kDamaged);
  EXPECT_EQ(read(Kind::kTmp, 2), kDamaged);
  EXPECT_EQ(read(Kind::kTmp, 3), kDamaged);
  EXPECT_EQ(read(Kind::kSpecial, 5), kGood);
  EXPECT_EQ(read(Kind::kSpecial, 1), kDamaged);
  EXPECT_EQ(read(Kind::kSpecial, 8), kDamaged);
  EXPECT_EQ(read(static_cast<Kind>(3), 0), kDamaged);
}

TEST_F(StateReaderTest, Channels) {
  auto read = [this](std::size_t size, std::uint32_t used) {
    StateParts parts;
    parts.AddDirectory();
    parts.AddChannel(size);
    parts.AddChannel();
    for (std::uint32_t i = 0; i < used; ++i)
      parts.AddDescriptor(ebbrt::StateKind::kPipeReader, 0,
                          [i](StateBuffer& body) {
                            body.Add32(i);
                            body.Add8(1);
                          });
    return Read(parts);
  };
  EXPECT_EQ(read(64 << 10, 2), kGood);
  EXPECT_EQ(read((64 << 10) + 1, 2), kDamaged);
  EXPECT_EQ(read(10, 1), kDamaged);
}

TEST_F(StateReaderTest, Numbers) {
  struct Number {
    std::uint32_t number;
    std::uint32_t descriptor;
    std::uint8_t close_on_exec;
  };
  auto read = [this](std::vector<Number> numbers) {
    StateParts parts;
    parts.AddDirectory();
    parts.AddDescriptor(ebbrt::StateKind::kDevice, 0,
                        [](StateBuffer& body) { body.Add32(0x103); });
    for (auto [number, descriptor, close_on_exec] : numbers)
      parts.AddNumber(number, descriptor, close_on_exec);
    return Read(parts);
  };
  EXPECT_EQ(read({{1, 0, 1}, {FileSide::kDescriptors - 1, 0, 0}}), kGood);
  EXPECT_EQ(read({{FileSide::kDescriptors, 0, 0}}), kDamaged);
  EXPECT_EQ(read({{UINT32_MAX, 0, 0}}), kDamaged);
  EXPECT_EQ(read({{0, 0, 0}}), kDamaged);
  EXPECT_EQ(read({{2, 0, 0}, {1, 0, 0}}), kDamaged);
  EXPECT_EQ(read({{1, 1, 0}}), kDamaged);
  EXPECT_EQ(read({{1, 0, 2}}), kDamaged);
  StateParts closed;
  closed.AddDirectory();
  closed.AddClosedDescriptor(ebbrt::StateKind::kDevice, 0,
                             [](StateBuffer& body) { body.Add32(0x103); });
  EXPECT_EQ(Read(closed), kDamaged);
}

}  // namespace
