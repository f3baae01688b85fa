#include "uc/UcNetwork.h"

#include "net/NameAnswer.h"
#include "net/TcpSocket.h"
#include "net/UdpSocket.h"
#include "uc/UnikernelContext.h"

const ebbrt::DescriptorTable& ebbrt::UcNetwork::open_descriptors() const {
  return uc_.descriptors();
}

ebbrt::Result<ebbrt::RefPtr<ebbrt::SocketDescriptor>>
ebbrt::UcNetwork::OpenStream() {
  auto* stack = TcpIp::Instance();
  if (!stack)
    return Errno::kNetworkUnreachable;
  if (!rights_)
    return Errno::kAccess;
  return RefPtr<SocketDescriptor>(
      MakeRef<TcpSocket>(*stack, *this, cpu::Index(), 0));
}

ebbrt::Result<std::unique_ptr<ebbrt::OutwardDatagrams>>
ebbrt::UcNetwork::OpenDatagrams() {
  auto* stack = TcpIp::Instance();
  if (!stack)
    return Errno::kNetworkUnreachable;
  if (!rights_)
    return Errno::kAccess;
  auto socket = UdpSocket::Open(*stack, *this, cpu::Index());
  if (!socket)
    return Errno::kNoMemory;
  return std::unique_ptr<OutwardDatagrams>(std::move(socket));
}

std::optional<size_t> ebbrt::UcNetwork::Ask(InternetAddress server,
                                            std::span<const std::byte> question,
                                            std::span<std::byte> answer) {
  if (server != kNameServer || answer.size() < kMaxNameMessage)
    return std::nullopt;
  return AnswerName(rights_.get(), question, answer.first<kMaxNameMessage>());
}

void ebbrt::UcNetwork::NetworkChanged() {
  uc_.io().WakeAll();
}
