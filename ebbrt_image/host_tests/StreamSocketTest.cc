#include <gtest/gtest.h>

#include "Bytes.h"
#include "SocketSide.h"
#include "files/Loopback.h"

namespace {

namespace abi = ebbrt::abi;
using ebbrt::Errno;
using ebbrt::InternetAddress;
using ebbrt::SocketDescriptor;
using ebbrt::StreamSocket;
using ebbrt::loopback::kHost;
using ebbrt::test::HostNetwork;
using ebbrt::test::SocketSide;

constexpr auto kIn = abi::kPollIn | abi::kPollReadNormal;
constexpr InternetAddress kWeb = {kHost, 8080};

class StreamSocketTest : public testing::Test {
 protected:
  StreamSocketTest() : side_(HostNetwork::Get()) { side_.network.Clear(); }

  ebbrt::RefPtr<StreamSocket> Listener(InternetAddress address = kWeb) {
    auto listener = side_.Stream();
    EXPECT_TRUE(listener->Bind(address));
    EXPECT_TRUE(listener->Listen(5));
    return listener;
  }
  ebbrt::RefPtr<SocketDescriptor> Accept(StreamSocket& listener) {
    auto accepted = listener.Accept(abi::kOpenNonBlock).value();
    return ebbrt::RefPtr<SocketDescriptor>(
        static_cast<SocketDescriptor*>(accepted.get()));
  }

  SocketSide side_;
};

TEST_F(StreamSocketTest, ConnectsInsideTheUc) {
  auto listener = Listener({0, 8080});
  EXPECT_TRUE(listener->listening());
  EXPECT_EQ(listener->Ready(), 0u);
  EXPECT_EQ(listener->Accept(0).error(), Errno::kAgain);
  auto before = listener->activity();
  auto client = side_.Stream();
  ASSERT_TRUE(client->Connect(kWeb));
  EXPECT_EQ(client->Connect(kWeb).error(), Errno::kIsConnected);
  EXPECT_EQ(listener->Ready(), kIn);
  EXPECT_NE(listener->activity(), before);
  // It can speak before it is accepted, and that is charged.
  EXPECT_EQ(*client->Write(Bytes("early")), 5u);
  EXPECT_GT(listener->Held(), 5u);
  auto server = Accept(*listener);
  EXPECT_EQ(listener->Held(), 0u);
  EXPECT_TRUE(server->non_blocking());
  EXPECT_EQ(server->local(), kWeb);
  EXPECT_EQ(*server->peer(), client->local());
  EXPECT_EQ(*client->peer(), kWeb);
  EXPECT_EQ(ReadText(*server, 10), "early");
  ASSERT_TRUE(server->Write(Bytes("late")));
  ASSERT_TRUE(server->Shutdown(abi::kShutdownWrite));
  EXPECT_EQ(ReadText(*client, 10), "late");
  EXPECT_EQ(ReadText(*client, 10), "");
  EXPECT_TRUE(side_.network.sent.empty());
}

TEST_F(StreamSocketTest, NobodyListens) {
  auto client = side_.Stream();
  EXPECT_EQ(client->Connect(kWeb).error(), Errno::kConnectionRefused);
  // Who is only bound does not listen, nor does another UC.
  auto bound = side_.Stream();
  ASSERT_TRUE(bound->Bind(kWeb));
  EXPECT_EQ(client->Connect(kWeb).error(), Errno::kConnectionRefused);
  SocketSide other(side_.network);
  auto listener = other.Stream();
  ASSERT_TRUE(listener->Bind(kWeb));
  ASSERT_TRUE(listener->Listen(1));
  EXPECT_EQ(client->Connect(kWeb).error(), Errno::kConnectionRefused);
  EXPECT_TRUE(side_.network.sent.empty());
}

TEST_F(StreamSocketTest, ListenersThatGo) {
  auto listener = Listener();
  auto client = side_.Stream();
  ASSERT_TRUE(client->Connect({0, 8080}));
  ASSERT_TRUE(listener->Shutdown(abi::kShutdownBoth));
  EXPECT_EQ(ReadText(*client, 10), "");
  EXPECT_EQ(listener->Accept(0).error(), Errno::kInvalid);
  EXPECT_TRUE(listener->Listen(1));
  ASSERT_TRUE(side_.table.Close(0));
  auto late = side_.Stream();
  EXPECT_EQ(late->Connect(kWeb).error(), Errno::kConnectionRefused);
}

TEST_F(StreamSocketTest, Addresses) {
  auto first = side_.Stream(), second = side_.Stream();
  EXPECT_EQ(first->Bind({0x0a00020f, 80}).error(), Errno::kAddressNotAvailable);
  ASSERT_TRUE(first->Bind({0, 80}));
  EXPECT_EQ(first->Bind({0, 81}).error(), Errno::kInvalid);
  EXPECT_EQ(second->Bind({kHost, 80}).error(), Errno::kAddressInUse);
  ASSERT_TRUE(second->Bind({kHost, 0}));
  EXPECT_NE(second->local().port, 0);
  auto third = side_.Stream();
  ASSERT_TRUE(third->Listen(1));
  EXPECT_NE(third->local().port, second->local().port);
  // A port of datagrams is another.
  EXPECT_TRUE(side_.Datagrams()->Bind({0, 80}));
}

TEST_F(StreamSocketTest, OnlySoManyWait) {
  auto listener = Listener();
  for (std::size_t i = 0; i < StreamSocket::kMaxWaiting; ++i) {
    auto number = side_.table.open_count();
    auto client = side_.Stream();
    ASSERT_TRUE(client->Connect(kWeb)) << i;
    ASSERT_TRUE(side_.table.Close(static_cast<int>(number)));
  }
  EXPECT_EQ(side_.Stream()->Connect(kWeb).error(), Errno::kConnectionRefused);
  EXPECT_GE(listener->Held(), StreamSocket::kMaxWaiting * 1024);
  EXPECT_EQ(ReadText(*Accept(*listener), 1), "");
}

TEST_F(StreamSocketTest, ReachesOutWhereItMay) {
  auto socket = side_.Stream();
  EXPECT_EQ(socket->Connect({HostNetwork::kPeer, 81}).error(), Errno::kAccess);
  EXPECT_EQ(socket->Connected().error(), Errno::kNotConnected);
  EXPECT_EQ(socket->Connect({HostNetwork::kPeer, HostNetwork::kPort}).error(),
            Errno::kInProgress);
  EXPECT_EQ(socket->Connected().error(), Errno::kAgain);
  EXPECT_EQ(socket->Listen(1).error(), Errno::kInvalid);
  EXPECT_FALSE(socket->claimed());
  ebbrt::test::Segment syn;
  ASSERT_TRUE(side_.network.Next(syn));
  EXPECT_EQ(syn.flags, ebbrt::test::Segment::kSyn);
}

TEST_F(StreamSocketTest, ConnectionsInsideLiveOnInClones) {
  auto listener = Listener();
  auto client = side_.Stream(), waiting = side_.Stream();
  ASSERT_TRUE(client->Connect(kWeb));
  ASSERT_TRUE(waiting->Connect(kWeb));
  ASSERT_TRUE(side_.table.Allocate(Accept(*listener), false));
  ASSERT_TRUE(client->Write(Bytes("kept")));
  ASSERT_TRUE(waiting->Write(Bytes("also")));
  auto outward = side_.Stream();
  static_cast<void>(outward->Connect({HostNetwork::kPeer, 80}));
  SocketSide clone(side_.network), loaded(side_.network);
  ebbrt::test::CloneSockets(side_, clone);
  ASSERT_TRUE(ebbrt::test::SaveAndLoadSockets(side_, loaded));
  for (auto* side : {&clone, &loaded}) {
    EXPECT_EQ(ReadText(side->At(3), 10), "kept");
    EXPECT_EQ(*side->At(3).peer(), client->local());
    ASSERT_TRUE(side->At(3).Write(Bytes("answer")));
    EXPECT_EQ(ReadText(side->At(1), 10), "answer");
    auto accepted = side->At(0).Accept(0).value();
    EXPECT_EQ(ReadText(*accepted, 10), "also");
    auto fresh = side->Stream();
    EXPECT_TRUE(fresh->Connect(kWeb));
    EXPECT_TRUE(side->At(0).Accept(0));
    EXPECT_EQ(ReadText(side->At(4), 10), "error 104");
  }
  // The source has heard of nothing.
  EXPECT_EQ(ReadText(side_.At(3), 10), "kept");
  EXPECT_EQ(ReadText(*client, 10), "error 11");
}

}  // namespace
