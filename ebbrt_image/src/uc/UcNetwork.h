// The network side of a UC: what its sockets find inside it, and what they may
// reach outside.
#ifndef EBBRT_UC_UCNETWORK_H_
#define EBBRT_UC_UCNETWORK_H_

#include "files/SocketOwner.h"
#include "net/NetworkClient.h"
#include "net/NetworkRights.h"

namespace ebbrt {

class UnikernelContext;

class UcNetwork final : public SocketOwner, public NetworkClient {
 public:
  explicit UcNetwork(UnikernelContext& uc) : uc_(uc) {}

  // They count for the request that is being served; null: for none.
  void set_rights(std::unique_ptr<NetworkRights> rights) {
    rights_ = std::move(rights);
  }

  const DescriptorTable& open_descriptors() const override;
  Result<RefPtr<SocketDescriptor>> OpenStream() override;
  Result<std::unique_ptr<OutwardDatagrams>> OpenDatagrams() override;
  std::optional<size_t> Ask(InternetAddress server,
                            std::span<const std::byte> question,
                            std::span<std::byte> answer) override;

  void NetworkChanged() override;
  const NetworkRights* network_rights() const override { return rights_.get(); }

 private:
  UnikernelContext& uc_;
  std::unique_ptr<NetworkRights> rights_;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_UCNETWORK_H_
