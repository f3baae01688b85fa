#include "files/InternetSocket.h"

#include "files/Loopback.h"

std::optional<ebbrt::InternetAddress> ebbrt::InternetSocket::claimed() const {
  if (!claims_)
    return std::nullopt;
  return local_;
}

ebbrt::Result<void> ebbrt::InternetSocket::claim(InternetAddress wanted) {
  auto claim = loopback::Claim(owner_->open_descriptors(), type(), wanted);
  if (!claim)
    return claim.error();
  local_ = *claim;
  claims_ = true;
  return {};
}
