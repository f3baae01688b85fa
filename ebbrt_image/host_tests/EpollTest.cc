#include "files/Epoll.h"

#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "Bytes.h"
#include "files/Device.h"
#include "files/EventFd.h"
#include "files/FileDescriptor.h"
#include "files/Pipe.h"

namespace {

namespace abi = ebbrt::abi;
using ebbrt::Epoll;
using ebbrt::Errno;
using ebbrt::MakeRef;
using ebbrt::RefPtr;

class EpollTest : public testing::Test {
 protected:
  // data -> events, with room for `room`.
  std::map<std::uint64_t, std::uint32_t> Collect(std::size_t room = 16) {
    std::vector<abi::EpollEvent> events(room);
    auto count = epoll_->Collect(events);
    std::map<std::uint64_t, std::uint32_t> result;
    for (std::size_t i = 0; i < count; ++i) {
      auto [bits, data] = events[i];
      EXPECT_FALSE(result.contains(data));
      result[data] = bits;
    }
    return result;
  }
  using Events = std::map<std::uint64_t, std::uint32_t>;

  void Fill(std::string_view text) {
    ASSERT_TRUE(pipe_.writer->Write(Bytes(text)).ok());
  }

  RefPtr<Epoll> epoll_ = MakeRef<Epoll>();
  ebbrt::Pipe pipe_ = ebbrt::MakePipe(0);
};

TEST_F(EpollTest, LevelTriggered) {
  ASSERT_TRUE(epoll_->Add(3, *pipe_.reader, {abi::kPollIn, 30}).ok());
  ASSERT_TRUE(epoll_->Add(4, *pipe_.writer, {abi::kPollOut, 40}).ok());
  EXPECT_EQ(Collect(), (Events{{40, abi::kPollOut}}));
  Fill("x");
  Events both{{30, abi::kPollIn}, {40, abi::kPollOut}};
  EXPECT_EQ(Collect(), both);
  EXPECT_EQ(Collect(), both);
  ReadText(*pipe_.reader, 1);
  EXPECT_EQ(Collect(), (Events{{40, abi::kPollOut}}));
  EXPECT_EQ(Collect(0), Events{});
}

TEST_F(EpollTest, HangUpIsReportedUnasked) {
  ASSERT_TRUE(epoll_->Add(3, *pipe_.reader, {0, 30}).ok());
  EXPECT_EQ(epoll_->Ready(), 0u);
  pipe_.writer = nullptr;
  EXPECT_EQ(Collect(), (Events{{30, abi::kPollHangUp}}));
  EXPECT_EQ(epoll_->Ready(), abi::kPollIn | abi::kPollReadNormal);
}

TEST_F(EpollTest, EdgeTriggeredReportsEveryNewEdgeOnce) {
  ASSERT_TRUE(
      epoll_->Add(3, *pipe_.reader, {abi::kPollIn | abi::kEpollEdge, 30}).ok());
  EXPECT_EQ(Collect(), Events{});
  Fill("x");
  EXPECT_NE(epoll_->Ready(), 0u);
  EXPECT_EQ(Collect(), (Events{{30, abi::kPollIn}}));
  EXPECT_EQ(Collect(), Events{});
  EXPECT_EQ(epoll_->Ready(), 0u);
  // More data is a new edge though the old was not read.
  Fill("y");
  EXPECT_EQ(Collect(), (Events{{30, abi::kPollIn}}));
  EXPECT_EQ(Collect(), Events{});
  // Drained and filled between two looks: an edge as well.
  ReadText(*pipe_.reader, 2);
  Fill("z");
  EXPECT_EQ(Collect(), (Events{{30, abi::kPollIn}}));
  ASSERT_TRUE(
      epoll_->Modify(3, *pipe_.reader, {abi::kPollIn | abi::kEpollEdge, 31})
          .ok());
  EXPECT_EQ(Collect(), (Events{{31, abi::kPollIn}}));
}

TEST_F(EpollTest, EdgeOnADescriptorWithoutActivityIsAChangeOfBits) {
  auto event = MakeRef<ebbrt::EventFd>(1, false, 0);
  ASSERT_TRUE(
      epoll_->Add(3, *event, {abi::kPollIn | abi::kEpollEdge, 30}).ok());
  EXPECT_EQ(Collect(), (Events{{30, abi::kPollIn}}));
  EXPECT_EQ(Collect(), Events{});
}

TEST_F(EpollTest, OneShotReportsOnceUntilModified) {
  const abi::EpollEvent once{abi::kPollIn | abi::kEpollOneShot, 30};
  ASSERT_TRUE(epoll_->Add(3, *pipe_.reader, once).ok());
  Fill("x");
  EXPECT_EQ(Collect(), (Events{{30, abi::kPollIn}}));
  EXPECT_EQ(Collect(), Events{});
  pipe_.writer = nullptr;
  EXPECT_EQ(Collect(), Events{});
  ASSERT_TRUE(epoll_->Modify(3, *pipe_.reader, once).ok());
  EXPECT_EQ(Collect(), (Events{{30, abi::kPollIn | abi::kPollHangUp}}));
}

TEST_F(EpollTest, ControlErrors) {
  const abi::EpollEvent event{abi::kPollIn, 0};
  auto& reader = *pipe_.reader;
  EXPECT_EQ(epoll_->Modify(3, reader, event).error(), Errno::kNoEntry);
  EXPECT_EQ(epoll_->Remove(3, reader).error(), Errno::kNoEntry);
  ASSERT_TRUE(epoll_->Add(3, reader, event).ok());
  EXPECT_EQ(epoll_->Add(3, reader, event).error(), Errno::kExists);
  // The same description under another number is another interest.
  EXPECT_TRUE(epoll_->Add(5, reader, event).ok());
  EXPECT_EQ(epoll_->size(), 2u);
  EXPECT_TRUE(epoll_->Remove(3, reader).ok());
  EXPECT_EQ(epoll_->size(), 1u);
  EXPECT_EQ(epoll_->Add(9, *epoll_, event).error(), Errno::kInvalid);
  auto other = MakeRef<Epoll>();
  EXPECT_EQ(epoll_->Add(9, *other, event).error(), Errno::kInvalid);
}

class PlainFile : public ebbrt::FileDescriptor {
 public:
  PlainFile() : FileDescriptor(0) {}
  ebbrt::Result<void> GetStat(abi::Stat&) const override { return {}; }

 protected:
  std::uint64_t size() const override { return 0; }
};

TEST_F(EpollTest, FilesAreRefused) {
  auto file = MakeRef<PlainFile>();
  EXPECT_EQ(epoll_->Add(3, *file, {abi::kPollIn, 0}).error(), Errno::kPerm);
}

TEST_F(EpollTest, ClosedDescriptorsAreForgotten) {
  ASSERT_TRUE(epoll_->Add(3, *pipe_.reader, {abi::kPollIn, 30}).ok());
  ASSERT_TRUE(epoll_->Add(4, *pipe_.reader, {abi::kPollIn, 40}).ok());
  ASSERT_TRUE(epoll_->Add(5, *pipe_.writer, {abi::kPollOut, 50}).ok());
  // Being watched does not keep an end open.
  pipe_.writer = nullptr;
  EXPECT_EQ(epoll_->size(), 2u);
  EXPECT_EQ(ReadText(*pipe_.reader, 1), "");
  pipe_.reader = nullptr;
  EXPECT_EQ(epoll_->size(), 0u);
  EXPECT_EQ(Collect(), Events{});
}

TEST_F(EpollTest, SetMayGoBeforeWhatItWatches) {
  ASSERT_TRUE(epoll_->Add(3, *pipe_.reader, {abi::kPollIn, 30}).ok());
  auto other = MakeRef<Epoll>();
  ASSERT_TRUE(other->Add(3, *pipe_.reader, {abi::kPollIn, 31}).ok());
  epoll_ = nullptr;
  pipe_.reader = nullptr;
  EXPECT_EQ(other->size(), 0u);
}

TEST_F(EpollTest, SmallArraysShowEveryoneInTurn) {
  std::vector<RefPtr<ebbrt::EventFd>> events;
  for (int i = 0; i < 10; ++i) {
    events.push_back(MakeRef<ebbrt::EventFd>(1, false, 0));
    ASSERT_TRUE(epoll_
                    ->Add(i, *events.back(),
                          {abi::kPollIn, static_cast<std::uint64_t>(i)})
                    .ok());
  }
  Events seen;
  for (int round = 0; round < 5; ++round) {
    auto some = Collect(2);
    EXPECT_EQ(some.size(), 2u);
    seen.merge(some);
  }
  EXPECT_EQ(seen.size(), 10u);
}

TEST_F(EpollTest, InterestsHaveALimit) {
  auto device = MakeRef<ebbrt::NullDevice>(abi::kOpenReadWrite);
  for (std::size_t i = 0; i < Epoll::kMaxInterests; ++i)
    ASSERT_TRUE(
        epoll_->Add(static_cast<int>(i), *device, {abi::kPollIn, i}).ok());
  EXPECT_EQ(epoll_->Add(-1, *device, {abi::kPollIn, 0}).error(),
            Errno::kNoSpace);
}

}  // namespace
