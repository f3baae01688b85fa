// A UC as its sockets see it, on this machine: a table of descriptors, and the
// network whose other end is the test.
#ifndef EBBRT_HOST_TESTS_SOCKETSIDE_H_
#define EBBRT_HOST_TESTS_SOCKETSIDE_H_

#include "FileSide.h"
#include "HostNetwork.h"
#include "files/DatagramSocket.h"
#include "files/StreamSocket.h"
#include "net/NameAnswer.h"
#include "net/UdpSocket.h"

namespace ebbrt::test {

class SocketSide final : public SocketOwner {
 public:
  explicit SocketSide(HostNetwork& network) : network(network), table(40) {}

  const DescriptorTable& open_descriptors() const override { return table; }
  Result<RefPtr<SocketDescriptor>> OpenStream() override {
    return RefPtr<SocketDescriptor>(
        MakeRef<TcpSocket>(network.stack(), network, 0, 0));
  }
  Result<std::unique_ptr<OutwardDatagrams>> OpenDatagrams() override {
    auto socket = UdpSocket::Open(network.stack(), network, 0);
    if (!socket)
      return Errno::kNoMemory;
    return std::unique_ptr<OutwardDatagrams>(std::move(socket));
  }
  std::optional<std::size_t> Ask(InternetAddress server,
                                 std::span<const std::byte> question,
                                 std::span<std::byte> answer) override {
    if (server != kNameServer)
      return std::nullopt;
    return AnswerName(network.network_rights(), question,
                      answer.first<kMaxNameMessage>());
  }

  RefPtr<StreamSocket> Stream() { return Open<StreamSocket>(); }
  RefPtr<DatagramSocket> Datagrams() { return Open<DatagramSocket>(); }
  template <class Socket> RefPtr<Socket> Open() {
    auto socket = MakeRef<Socket>(this, 0);
    kbugon(!table.Allocate(socket, false));
    return socket;
  }
  SocketDescriptor& At(int number) {
    return static_cast<SocketDescriptor&>(*table.Get(number).value());
  }

  HostNetwork& network;
  DescriptorTable table;
};

// Gives clones an owner.
class SocketConsoles final : public ConsoleFactory {
 public:
  explicit SocketConsoles(SocketOwner* owner) : owner_(owner) {}
  RefPtr<Descriptor> CloneConsole(const Descriptor&) override {
    return nullptr;
  }
  SocketOwner* socket_owner() override { return owner_; }

 private:
  SocketOwner* owner_;
};

// The descriptors of `source` in `clone`, once as they are, once as bytes.
inline void CloneSockets(const SocketSide& source, SocketSide& clone) {
  SocketConsoles consoles(&clone);
  CloneMap map(consoles);
  clone.table.CloneFrom(source.table, map);
}

// False if the bytes are refused.
inline bool SaveAndLoadSockets(const SocketSide& source, SocketSide& loaded) {
  FakePages pages;
  FakeConsoles consoles(1);
  auto files =
      MakeRef<FileSystem>(FileSide::archive(), FileSide::MakeStorage(pages),
                          FileSide::Random, FileSide::kExecutable);
  ByteSink sink;
  StateWriter(*files, files->root(), source.table, consoles).Emit(sink);
  FakePages new_pages;
  StateReader reader({FileSide::archive(), FileSide::MakeStorage(new_pages),
                      FileSide::Random, FileSide::kExecutable, consoles, 40});
  auto state = reader.Read(sink.bytes());
  if (!state)
    return false;
  SocketConsoles owner(&loaded);
  CloneMap map(owner);
  loaded.table.CloneFrom(state->descriptors, map);
  return true;
}

}  // namespace ebbrt::test

#endif  // EBBRT_HOST_TESTS_SOCKETSIDE_H_
