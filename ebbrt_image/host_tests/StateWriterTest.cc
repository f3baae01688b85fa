#include "files/StateWriter.h"

#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "Bytes.h"
#include "FileSide.h"
#include "files/Epoll.h"
#include "files/EventFd.h"
#include "files/Pipe.h"
#include "lib/Crc32.h"

namespace {

namespace abi = ebbrt::abi;
using ebbrt::MakeRef;

constexpr int kNewFile = abi::kOpenReadWrite | abi::kOpenCreate;
// Magic, version, size, and six sections of nothing but their heads.
constexpr std::size_t kFrame = 20 + 6 * 12 + 4;

class StateWriterTest : public testing::Test {
 protected:
  ~StateWriterTest() override {
    side_.reset();
    EXPECT_EQ(pages_.used(), 0u);
  }

  static std::uint64_t Number(std::span<const std::byte> bytes, std::size_t at,
                              std::size_t size) {
    std::uint64_t number = 0;
    std::memcpy(&number, bytes.subspan(at, size).data(), size);
    return number;
  }
  // The body of a section.
  static std::vector<std::byte> Section(const std::vector<std::byte>& state,
                                        unsigned wanted) {
    std::size_t at = 20;
    for (unsigned id = 1;; ++id) {
      EXPECT_EQ(Number(state, at, 4), id);
      auto size = Number(state, at + 4, 8);
      at += 12;
      if (id == wanted)
        return {state.begin() + static_cast<std::ptrdiff_t>(at),
                state.begin() + static_cast<std::ptrdiff_t>(at + size)};
      at += size;
    }
  }

  FakePages pages_;
  std::unique_ptr<FileSide> side_ = std::make_unique<FileSide>(pages_);
};

TEST_F(StateWriterTest, Frame) {
  auto state = side_->Save();
  EXPECT_EQ(Text(std::span(state).first(8)), std::string("EBFILES\0", 8));
  EXPECT_EQ(Number(state, 8, 4), 1u);
  EXPECT_EQ(Number(state, 12, 8), state.size());
  auto checked = std::span(state).first(state.size() - 4);
  EXPECT_EQ(Number(state, checked.size(), 4), ebbrt::Crc32(checked));
  std::size_t total = kFrame;
  for (unsigned id = 1; id <= 6; ++id)
    total += Section(state, id).size();
  EXPECT_EQ(total, state.size());
}

TEST_F(StateWriterTest, NamesAndNumbers) {
  side_->directory = ebbrt::Place::Special(ebbrt::SpecialNode::kDev);
  auto event = MakeRef<ebbrt::EventFd>(0, false, 0);
  ASSERT_TRUE(side_->table.Set(5, event, true).ok());
  ASSERT_TRUE(side_->table.Set(9, event, false).ok());
  auto state = side_->Save();
  auto names = Section(state, 1);
  EXPECT_EQ(Number(names, 0, 4), FileSide::archive().check());
  EXPECT_EQ(Text(std::span(names).subspan(4, 13)),
            std::string("\x0b\0/bin/python", 13));
  EXPECT_EQ(Number(names, 17, 8), 1u);
  EXPECT_EQ(Text(std::span(names).subspan(25)), std::string("\1\0\0\0\0", 5));
  EXPECT_EQ(Text(Section(state, 5)), std::string("\2\0\0\0"
                                                 "\5\0\0\0\0\0\0\0\1"
                                                 "\x9\0\0\0\0\0\0\0\0",
                                                 22));
  // One event counter: kind, flags, and its own 13 bytes.
  EXPECT_EQ(Text(Section(state, 4)), std::string("\1\0\0\0"
                                                 "\x8\2\0\0\0\xd\0\0\0"
                                                 "\0\0\0\0\0\0\0\0\0\0\0\0\0",
                                                 26));
}

TEST_F(StateWriterTest, PagesInOrderWithoutZerosAtTheirEnds) {
  auto file = side_->Open("/tmp/f", kNewFile);
  for (std::uint64_t page : {7, 2, 30, 11, 5})
    ASSERT_TRUE(side_->Get(file)
                    ->PWrite(Bytes("p" + std::to_string(page)), page * 4096)
                    .ok());
  ASSERT_TRUE(
      side_->Get(file)->PWrite(Bytes(std::string(50, '\0')), 20 * 4096).ok());
  auto state = side_->Save();
  EXPECT_EQ(Text(Section(state, 6)), "p2p5p7p11p30");
  auto inodes = Section(state, 2);
  std::vector<std::uint64_t> indices;
  for (std::size_t i = 0; i < 6; ++i)
    indices.push_back(Number(inodes, inodes.size() - (6 - i) * 10, 8));
  EXPECT_EQ(indices, (std::vector<std::uint64_t>{2, 5, 7, 11, 20, 30}));
}

TEST_F(StateWriterTest, OrderOfMakingDoesNotShow) {
  // The same numbers and counters, opened the other way round.
  auto pipe = ebbrt::MakePipe(0);
  ASSERT_TRUE(side_->table.Set(1, pipe.reader, false).ok());
  ASSERT_TRUE(side_->table.Set(0, pipe.writer, false).ok());
  FileSide other(pages_);
  auto same = ebbrt::MakePipe(0);
  ASSERT_TRUE(other.table.Set(0, same.writer, false).ok());
  ASSERT_TRUE(other.table.Set(1, same.reader, false).ok());
  EXPECT_EQ(side_->Save(), other.Save());
}

TEST_F(StateWriterTest, EpollSetsComeLast) {
  auto epoll = MakeRef<ebbrt::Epoll>();
  auto event = MakeRef<ebbrt::EventFd>(0, false, 0);
  auto borrowed = MakeRef<ebbrt::EventFd>(0, false, 0);
  ASSERT_TRUE(epoll->Add(1, *event, {abi::kPollIn, 0}).ok());
  ASSERT_TRUE(epoll->Add(2, *borrowed, {abi::kPollIn, 0}).ok());
  ASSERT_TRUE(side_->table.Set(0, epoll, false).ok());
  ASSERT_TRUE(side_->table.Set(1, event, false).ok());
  auto state = side_->Save();
  auto descriptors = Section(state, 4);
  EXPECT_EQ(Number(descriptors, 4, 1), 8u);
  EXPECT_EQ(Number(descriptors, 4 + 22, 1), 9u);
  // The interest in what no number leads to is left out.
  EXPECT_EQ(Number(descriptors, 4 + 22 + 5, 4), 28u);
  EXPECT_EQ(Number(Section(state, 5), 8, 4), 1u);
}

}  // namespace
