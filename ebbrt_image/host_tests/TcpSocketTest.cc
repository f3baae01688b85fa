#include <gtest/gtest.h>

#include "HostNetwork.h"
#include "files/LostSocket.h"

namespace {

using ebbrt::Errno;
using ebbrt::test::Bytes;
using ebbrt::test::HostNetwork;
using ebbrt::test::Segment;

Bytes Text(std::string_view text) {
  auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

class TcpSocketTest : public testing::Test {
 protected:
  TcpSocketTest() : network_(HostNetwork::Get()) {
    network_.Clear();
    before_ = HostNetwork::allocations();
  }
  ~TcpSocketTest() override {
    network_.Clear();
    EXPECT_EQ(HostNetwork::allocations(), before_);
  }

  HostNetwork& network_;
  std::size_t before_;
};

TEST_F(TcpSocketTest, ConnectsAndTellsItsOwner) {
  Segment next;
  auto socket = network_.Connect(next);
  EXPECT_TRUE(socket->Connected());
  EXPECT_EQ(socket->peer()->host, HostNetwork::kPeer);
  EXPECT_EQ(socket->local().host, HostNetwork::kOwn);
  EXPECT_EQ(socket->Connect({HostNetwork::kPeer, 80}).error(),
            Errno::kIsConnected);
  network_.Pass(0);
  EXPECT_EQ(network_.changes, 1u);
}

TEST_F(TcpSocketTest, ReachesOnlyWhatItMay) {
  auto socket =
      ebbrt::MakeRef<ebbrt::TcpSocket>(network_.stack(), network_, 0, 0);
  EXPECT_EQ(socket->Connect({HostNetwork::kPeer, 81}).error(), Errno::kAccess);
  EXPECT_EQ(socket->Connect({HostNetwork::kPeer + 1, 80}).error(),
            Errno::kAccess);
  EXPECT_TRUE(network_.sent.empty());
}

TEST_F(TcpSocketTest, NoTwoConnectionsBeginAlike) {
  Segment first, second;
  auto one = network_.Connect(first);
  auto other = network_.Connect(second);
  EXPECT_NE(first.to, second.to);
  EXPECT_NE(first.acknowledged, second.acknowledged);
}

TEST_F(TcpSocketTest, ReadsWhatCameAndThenTheEnd) {
  Segment next;
  auto socket = network_.Connect(next);
  Bytes buffer(8);
  EXPECT_EQ(socket->Read(buffer).error(), Errno::kAgain);
  next.data = Text("hello, you");
  network_.Put(next);
  EXPECT_EQ(*socket->Available(), 10u);
  EXPECT_EQ(*socket->Peek(buffer), 8u);
  EXPECT_EQ(*socket->Read(buffer), 8u);
  EXPECT_EQ(buffer, Text("hello, y"));
  next.sequence += 10;
  next.data = {};
  next.flags |= Segment::kFin;
  network_.Put(next);
  EXPECT_EQ(*socket->Read(buffer), 2u);
  EXPECT_EQ(*socket->Read(buffer), 0u);
  EXPECT_TRUE(socket->Ready() & ebbrt::abi::kPollReadHangUp);
}

TEST_F(TcpSocketTest, SendsAndWaitsWhenTheBufferIsFull) {
  Segment next, sent;
  auto socket = network_.Connect(next);
  Bytes data(1000, std::byte{'d'});
  std::size_t total = 0;
  for (;;) {
    auto written = socket->Write(data);
    if (!written) {
      EXPECT_EQ(written.error(), Errno::kAgain);
      break;
    }
    total += *written;
  }
  EXPECT_FALSE(socket->Ready() & ebbrt::abi::kPollOut);
  std::size_t arrived = 0;
  for (int rounds = 0; arrived < total && rounds < 1000; ++rounds) {
    while (network_.Next(sent)) {
      arrived += sent.data.size();
      next.acknowledged =
          sent.sequence + static_cast<std::uint32_t>(sent.data.size());
    }
    network_.Put(next);
  }
  EXPECT_EQ(arrived, total);
  EXPECT_TRUE(socket->Ready() & ebbrt::abi::kPollOut);
}

TEST_F(TcpSocketTest, AResetIsToldOnce) {
  Segment next;
  auto socket = network_.Connect(next);
  next.flags = Segment::kReset;
  network_.Put(next);
  Bytes buffer(8);
  EXPECT_TRUE(socket->Ready() & ebbrt::abi::kPollError);
  EXPECT_EQ(socket->Read(buffer).error(), Errno::kConnectionReset);
  EXPECT_EQ(*socket->Read(buffer), 0u);
  EXPECT_EQ(socket->Write(buffer).error(), Errno::kBrokenPipe);
}

TEST_F(TcpSocketTest, NobodyListens) {
  auto socket =
      ebbrt::MakeRef<ebbrt::TcpSocket>(network_.stack(), network_, 0, 0);
  static_cast<void>(socket->Connect({HostNetwork::kPeer, 80}));
  Segment syn, answer;
  ASSERT_TRUE(network_.Next(syn));
  answer.from = 80;
  answer.to = syn.from;
  answer.acknowledged = syn.sequence + 1;
  answer.flags = Segment::kReset | Segment::kAcknowledge;
  network_.Put(answer);
  EXPECT_EQ(socket->Connected().error(), Errno::kConnectionRefused);
}

TEST_F(TcpSocketTest, NobodyAnswers) {
  auto socket =
      ebbrt::MakeRef<ebbrt::TcpSocket>(network_.stack(), network_, 0, 0);
  static_cast<void>(socket->Connect({HostNetwork::kPeer, 80}));
  EXPECT_EQ(socket->Connected().error(), Errno::kAgain);
  network_.Pass(300000);
  EXPECT_EQ(socket->Connected().error(), Errno::kTimedOut);
}

TEST_F(TcpSocketTest, BothWaysAreShutAndTimeGoesBy) {
  Segment next, sent;
  auto socket = network_.Connect(next);
  ASSERT_TRUE(socket->Shutdown(ebbrt::abi::kShutdownWrite));
  ASSERT_TRUE(network_.Next(sent));
  EXPECT_TRUE(sent.flags & Segment::kFin);
  next.acknowledged = sent.sequence + 1;
  next.flags |= Segment::kFin;
  network_.Put(next);
  network_.Pass(10000);
  EXPECT_EQ(network_.stack().connections(), 0u);
  Bytes buffer(8);
  EXPECT_EQ(*socket->Read(buffer), 0u);
}

TEST_F(TcpSocketTest, AnotherLifeOfTheMachineSendsNothing) {
  Segment next;
  auto socket = network_.Connect(next);
  network_.sent.clear();
  network_.stack().Forget();
  EXPECT_TRUE(network_.sent.empty());
  Bytes buffer(8);
  EXPECT_EQ(socket->Read(buffer).error(), Errno::kConnectionReset);
  EXPECT_EQ(network_.stack().connections(), 0u);
}

TEST_F(TcpSocketTest, ShortOfMemory) {
  Segment next;
  auto socket = network_.Connect(next);
  HostNetwork::SetShort(true);
  Bytes data(100);
  EXPECT_EQ(socket->Write(data).error(), Errno::kAgain);
  auto other =
      ebbrt::MakeRef<ebbrt::TcpSocket>(network_.stack(), network_, 0, 0);
  EXPECT_EQ(other->Connect({HostNetwork::kPeer, 80}).error(), Errno::kNoMemory);
  next.data = data;
  network_.Put(next);
  EXPECT_EQ(*socket->Available(), 0u);
  HostNetwork::SetShort(false);
  EXPECT_EQ(*socket->Write(data), 100u);
  network_.Put(next);
  EXPECT_EQ(*socket->Available(), 100u);
}

TEST(LostSocketTest, LooksResetOnce) {
  ebbrt::LostSocket socket(ebbrt::SocketType::kStream, 0);
  Bytes buffer(8);
  EXPECT_TRUE(socket.Ready() & ebbrt::abi::kPollError);
  EXPECT_EQ(socket.Read(buffer).error(), Errno::kConnectionReset);
  EXPECT_EQ(*socket.Read(buffer), 0u);
  EXPECT_EQ(socket.Write(buffer).error(), Errno::kBrokenPipe);
  EXPECT_FALSE(socket.Ready() & ebbrt::abi::kPollError);
}

}  // namespace
