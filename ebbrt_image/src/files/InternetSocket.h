// What streams and datagrams have in common: a UC that owns them, and an
// address inside it.
#ifndef EBBRT_FILES_INTERNETSOCKET_H_
#define EBBRT_FILES_INTERNETSOCKET_H_

#include "files/SocketOwner.h"

namespace ebbrt {

class InternetSocket : public SocketDescriptor {
 public:
  std::optional<InternetAddress> claimed() const override;

 protected:
  // `owner` is null in a prototype.
  InternetSocket(SocketOwner* owner, int status)
      : SocketDescriptor(status), owner_(owner) {}

  // Takes an address inside the UC for its own; port 0 is a free one.
  // kAddressInUse, kAddressNotAvailable.
  Result<void> claim(InternetAddress wanted);

  SocketOwner* owner_;
  // Whether its address is its own.
  bool claims_ = false;
  InternetAddress local_;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_INTERNETSOCKET_H_
