#include "files/CloneMap.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "Bytes.h"
#include "FileSide.h"
#include "files/Epoll.h"
#include "files/EventFd.h"
#include "files/Pipe.h"
#include "files/SocketEnd.h"

namespace {

namespace abi = ebbrt::abi;
using ebbrt::Epoll;
using ebbrt::Errno;
using ebbrt::EventFd;
using ebbrt::MakeRef;
using ebbrt::SocketEnd;

constexpr int kNewFile = abi::kOpenReadWrite | abi::kOpenCreate;

class CloneMapTest : public testing::Test {
 protected:
  ~CloneMapTest() override {
    clone_.reset();
    side_.reset();
    EXPECT_EQ(pages_.used(), 0u);
  }

  void Clone() { clone_ = side_->Clone(pages_, 7); }
  static void Write(const FileSide& side, int number, std::string_view text) {
    auto written = side.Get(number)->Write(Bytes(text));
    ASSERT_TRUE(written.ok());
    ASSERT_EQ(*written, text.size());
  }
  static std::string ReadAll(const FileSide& side, std::string_view path) {
    auto file = side.files->Open(side.files->root(), path, 0, 0);
    return file.ok() ? ReadText(**file, 100'000) : "none";
  }
  static std::string Collect(const FileSide& side, int number) {
    std::vector<abi::EpollEvent> events(16);
    std::string result;
    auto count = side.As<Epoll>(number).Collect(events);
    for (std::size_t i = 0; i < count; ++i) {
      auto [bits, data] = events[i];
      result += std::to_string(data) + ":" + std::to_string(bits) + " ";
    }
    return result;
  }
  // Reader and writer.
  std::pair<int, int> AddPipe(int status = 0) {
    auto pipe = ebbrt::MakePipe(status);
    auto reader = side_->Add(std::move(pipe.reader));
    return {reader, side_->Add(std::move(pipe.writer))};
  }
  std::size_t pages_of(const FileSide& side) const {
    return side.files->tmp().storage().pages_used();
  }

  FakePages pages_{100};
  std::unique_ptr<FileSide> side_ = std::make_unique<FileSide>(pages_);
  std::unique_ptr<FileSide> clone_;
};

TEST_F(CloneMapTest, NothingOpen) {
  Clone();
  EXPECT_EQ(clone_->table.open_count(), 0u);
  EXPECT_EQ(clone_->directory, clone_->files->root());
  EXPECT_EQ(clone_->files->tree().executable(), FileSide::kExecutable);
  EXPECT_NE(clone_->files->tmp().root(), side_->files->tmp().root());
}

TEST_F(CloneMapTest, FilesKeepPositionAndFlags) {
  auto text = side_->Open("/lib/text", 0);
  auto file = side_->Open("/tmp/f", kNewFile | abi::kOpenAppend);
  Write(*side_, file, "abc");
  ReadText(*side_->Get(text), 2);
  Clone();
  EXPECT_EQ(ReadText(*clone_->Get(text), 2), "ll");
  EXPECT_EQ(ReadText(*side_->Get(text), 9), "llo\n");
  EXPECT_EQ(clone_->Get(file)->flags(), side_->Get(file)->flags());
  EXPECT_EQ(clone_->Get(file)->Seek(0, abi::kSeekCurrent).value(), 3u);
  Write(*clone_, file, "d");
  EXPECT_EQ(ReadAll(*clone_, "/tmp/f"), "abcd");
  EXPECT_EQ(ReadAll(*side_, "/tmp/f"), "abc");
}

TEST_F(CloneMapTest, Devices) {
  auto zero = side_->Open("/dev/zero", 0);
  auto random = side_->Open("/dev/urandom", 0);
  auto null = side_->Open("/dev/null", 0);
  Clone();
  EXPECT_EQ(ReadText(*clone_->Get(zero), 2), std::string(2, '\0'));
  EXPECT_EQ(ReadText(*clone_->Get(random), 2), "rr");
  EXPECT_EQ(ReadText(*clone_->Get(null), 2), "");
  abi::Stat stat;
  ASSERT_TRUE(clone_->Get(random)->GetStat(stat).ok());
  EXPECT_EQ(stat.special_device, 0x109u);
}

TEST_F(CloneMapTest, NumbersThatShareStillDo) {
  auto first = side_->Open("/lib/text", 0);
  auto second = side_->table.Duplicate(first, true, 9).value();
  auto apart = side_->Open("/lib/text", 0);
  Clone();
  EXPECT_EQ(clone_->Get(first), clone_->Get(second));
  EXPECT_NE(clone_->Get(first), clone_->Get(apart));
  EXPECT_EQ(clone_->table.open_count(), 3u);
  EXPECT_FALSE(clone_->table.close_on_exec(first).value());
  EXPECT_TRUE(clone_->table.close_on_exec(second).value());
  ReadText(*clone_->Get(first), 3);
  EXPECT_EQ(ReadText(*clone_->Get(second), 9), "lo\n");
  EXPECT_EQ(ReadText(*clone_->Get(apart), 9), "hello\n");
}

TEST_F(CloneMapTest, NumbersBeyondTheLimitStay) {
  ASSERT_TRUE(
      side_->table
          .Set(FileSide::kDescriptors - 1, MakeRef<EventFd>(3, false, 0), true)
          .ok());
  FakeConsoles consoles(0);
  ebbrt::CloneMap map(consoles);
  ebbrt::DescriptorTable small(2);
  ASSERT_EQ(small.Allocate(MakeRef<EventFd>(1, false, 0), false).value(), 0);
  small.CloneFrom(side_->table, map);
  EXPECT_EQ(small.open_count(), 1u);
  EXPECT_TRUE(small.Get(FileSide::kDescriptors - 1).ok());
  EXPECT_EQ(small.Get(0).error(), Errno::kBadDescriptor);
}

TEST_F(CloneMapTest, PipesAreJoinedAndFull) {
  auto [reader, writer] = AddPipe(abi::kOpenNonBlock);
  Write(*side_, writer, "before");
  Clone();
  Write(*side_, writer, " source");
  Write(*clone_, writer, " clone");
  EXPECT_EQ(ReadText(*clone_->Get(reader), 99), "before clone");
  EXPECT_EQ(ReadText(*side_->Get(reader), 99), "before source");
  EXPECT_TRUE(clone_->Get(reader)->non_blocking());
  ASSERT_TRUE(clone_->table.Close(writer).ok());
  EXPECT_EQ(ReadText(*clone_->Get(reader), 9), "");
  EXPECT_EQ(ReadText(*side_->Get(reader), 9), "error 11");
}

TEST_F(CloneMapTest, PipeEndsThatAreClosedStayClosed) {
  auto [reader, writer] = AddPipe();
  auto [read_only, gone] = AddPipe();
  Write(*side_, gone, "rest");
  ASSERT_TRUE(side_->table.Close(reader).ok());
  ASSERT_TRUE(side_->table.Close(gone).ok());
  Clone();
  EXPECT_EQ(clone_->Get(writer)->Write(Bytes("x")).error(), Errno::kBrokenPipe);
  EXPECT_EQ(ReadText(*clone_->Get(read_only), 9), "rest");
  EXPECT_EQ(ReadText(*clone_->Get(read_only), 9), "");
}

TEST_F(CloneMapTest, WhatOnlyACallBorrowsCountsAsClosed) {
  auto [reader, writer] = AddPipe();
  auto epoll = side_->Add(MakeRef<Epoll>());
  auto borrowed = side_->Get(writer);
  ASSERT_TRUE(
      side_->As<Epoll>(epoll).Add(writer, *borrowed, {abi::kPollOut, 1}).ok());
  ASSERT_TRUE(side_->table.Close(writer).ok());
  Clone();
  EXPECT_EQ(ReadText(*clone_->Get(reader), 9), "");
  EXPECT_EQ(clone_->As<Epoll>(epoll).size(), 0u);
  EXPECT_EQ(side_->As<Epoll>(epoll).size(), 1u);
  EXPECT_EQ(ReadText(*side_->Get(reader), 9), "error 11");
}

TEST_F(CloneMapTest, SocketPairs) {
  auto pair = ebbrt::MakeSocketPair(0);
  auto first = side_->Add(pair.first);
  auto second = side_->Add(pair.second);
  pair = {};
  Write(*side_, first, "to second");
  Write(*side_, second, "to first");
  ASSERT_TRUE(side_->As<SocketEnd>(first).Shutdown(abi::kShutdownWrite).ok());
  Clone();
  EXPECT_EQ(ReadText(*clone_->Get(first), 99), "to first");
  EXPECT_EQ(ReadText(*clone_->Get(first), 99), "error 11");
  EXPECT_EQ(ReadText(*clone_->Get(second), 99), "to second");
  EXPECT_EQ(ReadText(*clone_->Get(second), 99), "");
  EXPECT_EQ(clone_->Get(first)->Write(Bytes("x")).error(), Errno::kBrokenPipe);
  Write(*clone_, second, "more");
  EXPECT_EQ(ReadText(*clone_->Get(first), 99), "more");
  EXPECT_EQ(ReadText(*side_->Get(first), 99), "to first");
}

TEST_F(CloneMapTest, EventCounters) {
  auto event = side_->Add(MakeRef<EventFd>(3, true, abi::kOpenNonBlock));
  ReadText(*side_->Get(event), 8);
  Clone();
  EXPECT_EQ(clone_->Get(event)->flags(), side_->Get(event)->flags());
  EXPECT_EQ(clone_->Get(event)->activity(), side_->Get(event)->activity());
  std::string one(8, '\0');
  one[0] = 1;
  EXPECT_EQ(ReadText(*clone_->Get(event), 8), one);
  EXPECT_EQ(ReadText(*clone_->Get(event), 8), one);
  EXPECT_EQ(ReadText(*clone_->Get(event), 8), "error 11");
  EXPECT_EQ(ReadText(*side_->Get(event), 8), one);
}

TEST_F(CloneMapTest, EpollWatchesTheClones) {
  auto [reader, writer] = AddPipe();
  auto epoll = side_->Add(MakeRef<Epoll>());
  // The set has a lower number than one that it watches.
  auto event = side_->Add(MakeRef<EventFd>(0, false, 0));
  auto& set = side_->As<Epoll>(epoll);
  ASSERT_TRUE(set.Add(reader, *side_->Get(reader), {abi::kPollIn, 1}).ok());
  ASSERT_TRUE(set.Add(event, *side_->Get(event), {abi::kPollIn, 2}).ok());
  Clone();
  Write(*side_, writer, "x");
  EXPECT_EQ(Collect(*clone_, epoll), "");
  EXPECT_EQ(Collect(*side_, epoll), "1:1 ");
  Write(*clone_, event, std::string_view("\1\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(Collect(*clone_, epoll), "2:1 ");
  // Known by the same number and description.
  EXPECT_TRUE(clone_->As<Epoll>(epoll).Remove(event, *clone_->Get(event)).ok());
  EXPECT_EQ(clone_->As<Epoll>(epoll).size(), 1u);
  ASSERT_TRUE(clone_->table.Close(reader).ok());
  EXPECT_EQ(clone_->As<Epoll>(epoll).size(), 0u);
  EXPECT_EQ(set.size(), 2u);
}

TEST_F(CloneMapTest, EpollKnowsADescriptionWhoseNumberWasClosed) {
  auto [reader, writer] = AddPipe();
  auto epoll = side_->Add(MakeRef<Epoll>());
  auto other = side_->table.Duplicate(reader, false).value();
  ASSERT_TRUE(side_->As<Epoll>(epoll)
                  .Add(reader, *side_->Get(reader), {abi::kPollIn, 5})
                  .ok());
  ASSERT_TRUE(side_->table.Close(reader).ok());
  Clone();
  Write(*clone_, writer, "x");
  EXPECT_EQ(Collect(*clone_, epoll), "5:1 ");
  ASSERT_TRUE(clone_->table.Close(other).ok());
  EXPECT_EQ(Collect(*clone_, epoll), "");
}

TEST_F(CloneMapTest, EpollRemembersEdgesAndShots) {
  auto [reader, writer] = AddPipe();
  auto epoll = side_->Add(MakeRef<Epoll>());
  auto& set = side_->As<Epoll>(epoll);
  auto edge = abi::kPollIn | abi::kEpollEdge;
  auto once = abi::kPollOut | abi::kEpollOneShot;
  ASSERT_TRUE(set.Add(reader, *side_->Get(reader), {edge, 1}).ok());
  ASSERT_TRUE(set.Add(writer, *side_->Get(writer), {once, 2}).ok());
  Write(*side_, writer, "x");
  EXPECT_EQ(Collect(*side_, epoll), "1:1 2:4 ");
  Clone();
  EXPECT_EQ(Collect(*clone_, epoll), "");
  Write(*clone_, writer, "y");
  EXPECT_EQ(Collect(*clone_, epoll), "1:1 ");
  EXPECT_EQ(Collect(*side_, epoll), "");
}

TEST_F(CloneMapTest, ConsolesComeFromTheFactory) {
  auto out = side_->Add(MakeRef<FakeConsole>(0, 4));
  auto same = side_->table.Duplicate(out, false).value();
  auto other = side_->Add(MakeRef<FakeConsole>(0, 5));
  side_->Get(out)->set_flags(abi::kOpenNonBlock);
  Clone();
  EXPECT_EQ(clone_->As<FakeConsole>(out).owner(), 7);
  EXPECT_EQ(clone_->As<FakeConsole>(out).role(), 4);
  EXPECT_EQ(clone_->As<FakeConsole>(other).role(), 5);
  EXPECT_EQ(clone_->Get(out), clone_->Get(same));
  EXPECT_TRUE(clone_->Get(out)->non_blocking());
  EXPECT_FALSE(clone_->Get(other)->non_blocking());
}

TEST_F(CloneMapTest, TreeOfTmp) {
  for (auto path : {"/tmp/a", "/tmp/a/b", "/tmp/c"})
    ASSERT_TRUE(side_->files->MakeDirectory(side_->directory, path, 0755).ok());
  Write(*side_, side_->Open("/tmp/a/b/f", kNewFile), "deep");
  side_->directory =
      side_->files->FindDirectory(side_->directory, "/tmp/a").value();
  Clone();
  EXPECT_EQ(clone_->files->tree().PathOf(clone_->directory).value(), "/tmp/a");
  EXPECT_NE(clone_->directory, side_->directory);
  EXPECT_EQ(ReadAll(*clone_, "/tmp/a/b/f"), "deep");
  EXPECT_GE(clone_->Open("b/g", kNewFile), 0);
  EXPECT_EQ(ReadAll(*side_, "/tmp/a/b/g"), "none");
  ASSERT_TRUE(side_->files->RemoveDirectory(side_->directory, "/tmp/c").ok());
  abi::Stat stat;
  EXPECT_TRUE(
      clone_->files->GetStat(clone_->directory, "/tmp/c", true, stat).ok());
  // Numbers of new files go on where those of the source ended.
  auto fresh = clone_->Open("/tmp/fresh", kNewFile);
  ASSERT_TRUE(clone_->Get(fresh)->GetStat(stat).ok());
  EXPECT_EQ(stat.inode, 7u);
}

TEST_F(CloneMapTest, DeepTree) {
  ebbrt::TmpStorage::Limits limits{10, 5000};
  auto storage = MakeRef<ebbrt::TmpStorage>(pages_, FileSide::Now, limits);
  auto files = MakeRef<ebbrt::FileSystem>(FileSide::archive(), storage,
                                          FileSide::Random, "/bin/python");
  auto at = files->FindDirectory(files->root(), "/tmp").value();
  for (int depth = 0; depth < 4000; ++depth) {
    ASSERT_TRUE(files->MakeDirectory(at, "d", 0755).ok());
    at = files->FindDirectory(at, "d").value();
  }
  FakeConsoles consoles(0);
  ebbrt::CloneMap map(consoles);
  auto clone = files->Clone(
      map, MakeRef<ebbrt::TmpStorage>(pages_, FileSide::Now, limits));
  EXPECT_EQ(clone->tree().PathOf(map.Clone(at)).value(),
            files->tree().PathOf(at).value());
  EXPECT_EQ(clone->tmp().storage().inodes_used(), 4001u);
}

TEST_F(CloneMapTest, DeletedButOpen) {
  auto file = side_->Open("/tmp/f", kNewFile);
  auto again = side_->Open("/tmp/f", abi::kOpenReadOnly);
  auto unnamed = side_->Open("/tmp", abi::kOpenReadWrite | abi::kOpenTemporary |
                                         abi::kOpenDirectory);
  Write(*side_, file, "kept");
  Write(*side_, unnamed, "never named");
  ASSERT_TRUE(side_->files->Unlink(side_->directory, "/tmp/f").ok());
  ASSERT_TRUE(
      side_->files->MakeDirectory(side_->directory, "/tmp/d", 0755).ok());
  side_->directory =
      side_->files->FindDirectory(side_->directory, "/tmp/d").value();
  ASSERT_TRUE(side_->files->RemoveDirectory(side_->directory, "/tmp/d").ok());
  Clone();
  EXPECT_EQ(ReadAll(*clone_, "/tmp/f"), "none");
  Write(*clone_, file, " alive");
  EXPECT_EQ(ReadText(*clone_->Get(again), 99), "kept alive");
  EXPECT_EQ(ReadText(*side_->Get(again), 99), "kept");
  ASSERT_TRUE(clone_->Get(unnamed)->Seek(0, abi::kSeekSet).ok());
  EXPECT_EQ(ReadText(*clone_->Get(unnamed), 99), "never named");
  abi::Stat stat;
  ASSERT_TRUE(clone_->Get(file)->GetStat(stat).ok());
  EXPECT_EQ(stat.links, 0u);
  EXPECT_EQ(clone_->files->tree().PathOf(clone_->directory).error(),
            Errno::kNoEntry);
  EXPECT_LT(clone_->Open("x", kNewFile), 0);
}

TEST_F(CloneMapTest, DirectoryReadersKeepTheirPlace) {
  for (auto path : {"/tmp/a", "/tmp/b", "/tmp/c"})
    side_->Open(path, kNewFile);
  auto directory = side_->Open("/tmp", abi::kOpenDirectory);
  // Room for ".", ".." and "a".
  std::vector<std::byte> room(72);
  ASSERT_EQ(side_->Get(directory)->ReadDirectory(room).value(), 72u);
  Clone();
  ASSERT_TRUE(side_->files->Unlink(side_->directory, "/tmp/b").ok());
  EXPECT_EQ(clone_->Get(directory)->ReadDirectory(room).value(), 48u);
  EXPECT_EQ(side_->Get(directory)->ReadDirectory(room).value(), 24u);
}

TEST_F(CloneMapTest, PagesAreSharedUntilWritten) {
  auto file = side_->Open("/tmp/f", kNewFile);
  Write(*side_, file, std::string(3 * 4096, 's'));
  ASSERT_EQ(pages_.used(), 3u);
  Clone();
  EXPECT_EQ(pages_.used(), 3u);
  EXPECT_EQ(pages_of(*clone_), 3u);
  ASSERT_TRUE(clone_->Get(file)->PWrite(Bytes("c"), 5000).ok());
  EXPECT_EQ(pages_.used(), 4u);
  EXPECT_EQ(pages_of(*clone_), 3u);
  // The other owner is alone with the page by now.
  ASSERT_TRUE(side_->Get(file)->PWrite(Bytes("t"), 5000).ok());
  EXPECT_EQ(pages_.used(), 4u);
  ASSERT_TRUE(side_->Get(file)->PWrite(Bytes("t"), 0).ok());
  EXPECT_EQ(pages_.used(), 5u);
  auto expected = std::string(3 * 4096, 's');
  expected[5000] = 'c';
  EXPECT_EQ(ReadAll(*clone_, "/tmp/f"), expected);
  side_.reset();
  EXPECT_EQ(pages_.used(), 3u);
  EXPECT_EQ(ReadAll(*clone_, "/tmp/f"), expected);
}

TEST_F(CloneMapTest, TruncatingLeavesTheOthersAlone) {
  auto file = side_->Open("/tmp/f", kNewFile);
  auto text = std::string(2 * 4096, 's');
  Write(*side_, file, text);
  Clone();
  ASSERT_TRUE(clone_->Get(file)->Truncate(100).ok());
  ASSERT_TRUE(clone_->Get(file)->Truncate(200).ok());
  EXPECT_EQ(ReadAll(*clone_, "/tmp/f"),
            std::string(100, 's') + std::string(100, '\0'));
  EXPECT_EQ(ReadAll(*side_, "/tmp/f"), text);
  EXPECT_EQ(pages_.used(), 3u);
  ASSERT_TRUE(side_->Get(file)->Truncate(0).ok());
  EXPECT_EQ(pages_.used(), 1u);
}

TEST_F(CloneMapTest, LimitsCountSharedPagesAndForgiveCopies) {
  auto file = side_->Open("/tmp/f", kNewFile);
  Write(*side_, file, std::string(FileSide::kLimits.pages * 4096, 's'));
  Clone();
  // Full, as the source is.
  EXPECT_EQ(clone_->Get(file)->Write(Bytes("x")).error(), Errno::kNoSpace);
  EXPECT_TRUE(clone_->Get(file)->PWrite(Bytes("x"), 0).ok());
  ASSERT_TRUE(clone_->Get(file)->Truncate(4096).ok());
  EXPECT_EQ(pages_of(*clone_), 1u);
  EXPECT_EQ(pages_of(*side_), FileSide::kLimits.pages);
}

TEST_F(CloneMapTest, NoMemoryForACopy) {
  FakePages few(2);
  FileSide side(few);
  auto file = side.Open("/tmp/f", kNewFile);
  auto text = std::string(2 * 4096, 's');
  Write(side, file, text);
  {
    auto clone = side.Clone(few);
    EXPECT_EQ(clone->Get(file)->PWrite(Bytes("x"), 0).error(), Errno::kNoSpace);
    EXPECT_EQ(clone->Get(file)->Truncate(5000).error(), Errno::kNoSpace);
    EXPECT_EQ(ReadAll(*clone, "/tmp/f"), text);
    // Whole pages need no copy.
    EXPECT_TRUE(clone->Get(file)->Truncate(4096).ok());
    EXPECT_EQ(few.used(), 2u);
  }
  EXPECT_TRUE(side.Get(file)->PWrite(Bytes("x"), 0).ok());
}

TEST_F(CloneMapTest, ClonesOfClones) {
  auto file = side_->Open("/tmp/f", kNewFile);
  Write(*side_, file, "one");
  Clone();
  auto grandchild = clone_->Clone(pages_);
  side_.reset();
  Write(*clone_, file, " two");
  clone_.reset();
  EXPECT_EQ(ReadAll(*grandchild, "/tmp/f"), "one");
  EXPECT_EQ(pages_.used(), 1u);
}

TEST_F(CloneMapTest, SeveralCoresAtOnce) {
  AddPipe();
  auto epoll = side_->Add(MakeRef<Epoll>());
  ASSERT_TRUE(
      side_->As<Epoll>(epoll).Add(0, *side_->Get(0), {abi::kPollIn, 1}).ok());
  auto file = side_->Open("/tmp/f", kNewFile);
  Write(*side_, file, "shared");
  side_->Open("/tmp", abi::kOpenDirectory);
  auto state = side_->Save();
  std::vector<std::unique_ptr<FileSide>> clones(4);
  std::vector<std::thread> threads;
  for (auto& clone : clones)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i)
        clone = side_->Clone(pages_);
    });
  for (auto& thread : threads)
    thread.join();
  for (auto& clone : clones) {
    EXPECT_EQ(clone->Save(), state);
    Write(*clone, file, "!");
  }
  EXPECT_EQ(pages_.used(), 5u);
  EXPECT_EQ(ReadAll(*side_, "/tmp/f"), "shared");
}

TEST_F(CloneMapTest, SeveralCoresWriteAndForgetAtOnce) {
  auto file = side_->Open("/tmp/f", kNewFile);
  Write(*side_, file, std::string(8 * 4096, 's'));
  std::vector<std::thread> threads;
  for (char who : {'a', 'b', 'c', 'd'})
    threads.emplace_back([this, who, file] {
      for (std::uint64_t i = 0; i < 100; ++i) {
        auto clone = side_->Clone(pages_);
        auto expected = std::string(8 * 4096, 's');
        expected[i * 200] = who;
        ASSERT_TRUE(
            clone->Get(file)->PWrite(Bytes(std::string(1, who)), i * 200).ok());
        ASSERT_EQ(ReadAll(*clone, "/tmp/f"), expected);
      }
    });
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(ReadAll(*side_, "/tmp/f"), std::string(8 * 4096, 's'));
  EXPECT_EQ(pages_.used(), 8u);
}

}  // namespace
