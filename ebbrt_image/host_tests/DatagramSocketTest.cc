#include <gtest/gtest.h>

#include "Bytes.h"
#include "SocketSide.h"
#include "files/Loopback.h"

namespace {

namespace abi = ebbrt::abi;
using ebbrt::DatagramSocket;
using ebbrt::Errno;
using ebbrt::InternetAddress;
using ebbrt::loopback::kHost;
using ebbrt::test::HostNetwork;
using ebbrt::test::SocketSide;

constexpr auto kIn = abi::kPollIn | abi::kPollReadNormal;
constexpr InternetAddress kPlace = {kHost, 5000};
constexpr InternetAddress kOutside = {HostNetwork::kPeer, HostNetwork::kPort};

class DatagramSocketTest : public testing::Test {
 protected:
  DatagramSocketTest() : side_(HostNetwork::Get()) {
    side_.network.Clear();
    before_ = HostNetwork::allocations();
  }
  ~DatagramSocketTest() override {
    side_.table.CloseAll();
    side_.network.Clear();
    EXPECT_EQ(HostNetwork::allocations(), before_);
  }

  DatagramSocket& Bound(InternetAddress address = kPlace) {
    auto socket = side_.Datagrams();
    EXPECT_TRUE(socket->Bind(address));
    return *socket;
  }

  SocketSide side_;
  std::size_t before_;
};

TEST_F(DatagramSocketTest, ArriveWholeWithTheirSender) {
  auto& receiver = Bound({0, 5000});
  auto& sender = *side_.Datagrams();
  EXPECT_EQ(receiver.Receive(false).error(), Errno::kAgain);
  EXPECT_EQ(*sender.SendTo(Bytes("one"), kPlace), 3u);
  EXPECT_EQ(*sender.SendTo({}, kPlace), 0u);
  EXPECT_EQ(*sender.SendTo(Bytes("three"), kPlace), 5u);
  EXPECT_TRUE(receiver.Ready() & abi::kPollIn);
  auto first = receiver.Receive(true);
  ASSERT_TRUE(first);
  EXPECT_EQ(Text(first->bytes), "one");
  EXPECT_EQ(first->from, (InternetAddress{kHost, sender.local().port}));
  EXPECT_EQ(ReadText(receiver, 2), "on");
  EXPECT_EQ(ReadText(receiver, 10), "");
  EXPECT_EQ(ReadText(receiver, 10), "three");
  EXPECT_EQ(receiver.Held(), 0u);
  // The answer finds its way back.
  EXPECT_TRUE(receiver.SendTo(Bytes("back"), first->from));
  EXPECT_EQ(ReadText(sender, 10), "back");
}

TEST_F(DatagramSocketTest, ConnectedOnesHearOneOnly) {
  auto& receiver = Bound();
  auto& friendly = *side_.Datagrams();
  auto& other = *side_.Datagrams();
  EXPECT_EQ(friendly.Write(Bytes("x")).error(), Errno::kDestinationRequired);
  ASSERT_TRUE(friendly.Connect(kPlace));
  ASSERT_TRUE(receiver.Connect(friendly.local()));
  ASSERT_TRUE(other.SendTo(Bytes("no"), kPlace));
  EXPECT_EQ(ReadText(receiver, 10), "error 11");
  ASSERT_TRUE(friendly.Write(Bytes("yes")));
  EXPECT_EQ(ReadText(receiver, 10), "yes");
  EXPECT_TRUE(receiver.Shutdown(abi::kShutdownBoth));
  EXPECT_EQ(ReadText(receiver, 10), "");
  EXPECT_EQ(receiver.Write(Bytes("x")).error(), Errno::kBrokenPipe);
}

TEST_F(DatagramSocketTest, NobodyThere) {
  auto& socket = *side_.Datagrams();
  ASSERT_TRUE(socket.SendTo(Bytes("lost"), kPlace));
  EXPECT_EQ(socket.TakeError(), 0);
  ASSERT_TRUE(socket.Connect(kPlace));
  ASSERT_TRUE(socket.Write(Bytes("lost")));
  EXPECT_TRUE(socket.Ready() & abi::kPollError);
  EXPECT_EQ(socket.Write(Bytes("x")).error(), Errno::kConnectionRefused);
  EXPECT_TRUE(socket.Write(Bytes("x")));
  EXPECT_EQ(socket.TakeError(), 111);
  EXPECT_EQ(socket.SendTo(ebbrt::test::Bytes(65508), kPlace).error(),
            Errno::kMessageTooLong);
}

TEST_F(DatagramSocketTest, KeepsOnlySoMuch) {
  auto& receiver = Bound();
  auto& sender = *side_.Datagrams();
  for (int i = 0; i < 40; ++i)
    EXPECT_TRUE(sender.SendTo(ebbrt::test::Bytes(10000), kPlace));
  EXPECT_GT(receiver.Held(), 100000u);
  EXPECT_LE(receiver.Held(), DatagramSocket::kMaxWaiting);
  for (int i = 0; i < 5000; ++i)
    EXPECT_TRUE(sender.SendTo({}, kPlace));
  EXPECT_LE(receiver.Held(), DatagramSocket::kMaxWaiting);
  int count = 0;
  while (receiver.Receive(false))
    ++count;
  EXPECT_GT(count, 13);
  EXPECT_EQ(receiver.Held(), 0u);
}

TEST_F(DatagramSocketTest, TheKernelAnswersForNames) {
  auto& socket = *side_.Datagrams();
  ASSERT_TRUE(socket.Connect(ebbrt::kNameServer));
  const unsigned char question[] = {1,   2,   1,   0,   0,   1,   0,   0,   0,
                                    0,   0,   0,   9,   'l', 'o', 'c', 'a', 'l',
                                    'h', 'o', 's', 't', 0,   0,   1,   0,   1};
  ASSERT_TRUE(socket.Write(std::as_bytes(std::span(question))));
  auto answer = socket.Receive(false);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->from, ebbrt::kNameServer);
  EXPECT_EQ(answer->bytes.size(), sizeof(question) + 16);
  EXPECT_EQ(answer->bytes[answer->bytes.size() - 4], std::byte{127});
  ASSERT_TRUE(socket.Write(Bytes("no question")));
  EXPECT_EQ(socket.Receive(false).error(), Errno::kAgain);
  EXPECT_TRUE(side_.network.sent.empty());
}

TEST_F(DatagramSocketTest, OutwardsWhereItMay) {
  auto& socket = *side_.Datagrams();
  EXPECT_EQ(socket.SendTo(Bytes("x"), InternetAddress{HostNetwork::kPeer, 81})
                .error(),
            Errno::kAccess);
  EXPECT_EQ(socket.SendTo(ebbrt::test::Bytes(1473), kOutside).error(),
            Errno::kMessageTooLong);
  ASSERT_TRUE(socket.Connect(kOutside));
  EXPECT_EQ(socket.local().host, HostNetwork::kOwn);
  ASSERT_TRUE(socket.Write(Bytes("question")));
  ebbrt::test::SentDatagram sent;
  ASSERT_TRUE(side_.network.NextDatagram(sent));
  EXPECT_EQ(Text(sent.data), "question");
  EXPECT_EQ(sent.to, HostNetwork::kPort);
  EXPECT_EQ(sent.from, socket.local().port);
  side_.network.PutDatagram(HostNetwork::kPeer, 81, sent.from, "stranger");
  side_.network.PutDatagram(HostNetwork::kPeer, 80, sent.from, "answer");
  side_.network.changes = 0;
  side_.network.Pass(0);
  EXPECT_EQ(side_.network.changes, 1u);
  EXPECT_TRUE(socket.Ready() & kIn);
  EXPECT_EQ(socket.Held(), 14u);
  EXPECT_EQ(ReadText(socket, 10), "answer");
  EXPECT_EQ(ReadText(socket, 10), "error 11");
  // Only so many wait.
  for (int i = 0; i < 100; ++i)
    side_.network.PutDatagram(HostNetwork::kPeer, 80, sent.from, "more");
  int count = 0;
  while (socket.Receive(false))
    ++count;
  EXPECT_EQ(count, 32);
}

TEST_F(DatagramSocketTest, WhatComesFromOutsideIsNotForLoopback) {
  auto& receiver = Bound({0, 5000});
  side_.network.PutDatagram(HostNetwork::kPeer, 80, 5000, "from outside");
  EXPECT_EQ(ReadText(receiver, 20), "error 11");
}

// A machine that is restored many times over is many, and none hears another.
TEST_F(DatagramSocketTest, AnotherLifeHasAnotherPort) {
  auto& socket = *side_.Datagrams();
  auto& other = *side_.Datagrams();
  for (auto* each : {&socket, &other})
    ASSERT_TRUE(each->Connect(kOutside));
  auto old_port = socket.local().port;
  side_.network.PutDatagram(HostNetwork::kPeer, 80, old_port, "answer");
  EXPECT_EQ(socket.Held(), 6u);
  side_.network.stack().Forget();
  EXPECT_EQ(socket.Held(), 0u);
  EXPECT_FALSE(socket.Ready() & abi::kPollIn);
  auto port = socket.local().port;
  EXPECT_NE(port, old_port);
  EXPECT_NE(port, other.local().port);
  side_.network.PutDatagram(HostNetwork::kPeer, 80, old_port, "late answer");
  EXPECT_EQ(ReadText(socket, 10), "error 11");
  ASSERT_TRUE(socket.Write(Bytes("again")));
  ebbrt::test::SentDatagram sent;
  ASSERT_TRUE(side_.network.NextDatagram(sent));
  EXPECT_EQ(sent.from, port);
  side_.network.PutDatagram(HostNetwork::kPeer, 80, port, "answer");
  EXPECT_EQ(ReadText(socket, 10), "answer");
}

TEST_F(DatagramSocketTest, ANeighbourThatDoesNotAnswerKeepsNothing) {
  auto& socket = *side_.Datagrams();
  ASSERT_TRUE(socket.SendTo(Bytes("x"), kOutside));
  auto waiting = HostNetwork::allocations();
  side_.network.Pass(10000);
  EXPECT_LT(HostNetwork::allocations(), waiting);
}

TEST_F(DatagramSocketTest, ShortOfMemory) {
  HostNetwork::SetShort(true);
  auto& socket = *side_.Datagrams();
  EXPECT_EQ(socket.SendTo(Bytes("x"), kOutside).error(), Errno::kNoMemory);
  HostNetwork::SetShort(false);
  EXPECT_TRUE(socket.SendTo(Bytes("x"), kOutside));
  HostNetwork::SetShort(true);
  EXPECT_EQ(socket.SendTo(Bytes("x"), kOutside).error(), Errno::kNoMemory);
  HostNetwork::SetShort(false);
}

TEST_F(DatagramSocketTest, LivesOnInClones) {
  auto& receiver = Bound();
  auto& sender = *side_.Datagrams();
  ASSERT_TRUE(sender.Connect(kPlace));
  ASSERT_TRUE(sender.Write(Bytes("kept")));
  auto& outward = *side_.Datagrams();
  ASSERT_TRUE(outward.Connect(kOutside));
  SocketSide clone(side_.network), loaded(side_.network);
  ebbrt::test::CloneSockets(side_, clone);
  ASSERT_TRUE(ebbrt::test::SaveAndLoadSockets(side_, loaded));
  for (auto* side : {&clone, &loaded}) {
    EXPECT_EQ(side->At(0).Held(), receiver.Held());
    EXPECT_EQ(ReadText(side->At(0), 10), "kept");
    EXPECT_TRUE(side->At(1).Write(Bytes("more")));
    EXPECT_EQ(ReadText(side->At(0), 10), "more");
    EXPECT_TRUE(side->At(2).Write(Bytes("out")));
    EXPECT_EQ(side->Datagrams()->Bind(kPlace).error(), Errno::kAddressInUse);
  }
  EXPECT_EQ(ReadText(receiver, 10), "kept");
  EXPECT_EQ(ReadText(receiver, 10), "error 11");
}

}  // namespace
