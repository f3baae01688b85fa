// The way of a socket's datagrams out of the UC and back.
#ifndef EBBRT_FILES_OUTWARDDATAGRAMS_H_
#define EBBRT_FILES_OUTWARDDATAGRAMS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "files/SocketDescriptor.h"

namespace ebbrt {

class OutwardDatagrams {
 public:
  virtual ~OutwardDatagrams() = default;

  virtual InternetAddress local() const = 0;
  // kAccess: not among the UC's rights. kMessageTooLong: not in one frame.
  virtual Result<std::size_t> Send(InternetAddress to,
                                   std::span<const std::byte> bytes) = 0;
  // The one that came first, which stays if `keep`. kAgain: there is none.
  virtual Result<Datagram> Receive(bool keep) = 0;
  // Of those that wait.
  virtual std::size_t bytes() const = 0;
  virtual bool readable() const = 0;
  virtual std::uint32_t activity() const = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_OUTWARDDATAGRAMS_H_
