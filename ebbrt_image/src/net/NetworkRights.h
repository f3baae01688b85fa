// What a UC may reach: the list of hosts and ports that its function was given.
// It comes with each request (ALLOW) and counts for that request.
#ifndef EBBRT_NET_NETWORKRIGHTS_H_
#define EBBRT_NET_NETWORKRIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "files/SocketDescriptor.h"
#include "lib/String.h"
#include "lib/Vector.h"

namespace ebbrt {

class NetworkRights {
 public:
  static constexpr size_t kMaxEntries = 256;
  static constexpr size_t kMaxName = 253;

  // The payload of ALLOW: for each entry u32 address, u16 port, u16 length of
  // the name and the name, in small letters; all little endian. Null if it is
  // damaged.
  static std::unique_ptr<NetworkRights>
  Parse(std::span<const std::byte> payload);

  bool Allows(InternetAddress address) const;
  // visit(address) for each address of a name, in the order of the list.
  template <class Visit>
  void Resolve(std::string_view name, Visit visit) const {
    for (size_t i = 0; i < entries_.size(); ++i)
      if (entries_[i].name == name && !repeated(i))
        visit(entries_[i].address.host);
  }

 private:
  struct Entry {
    InternetAddress address;
    String name;
  };

  // Whether an entry before names the same host, for another port.
  bool repeated(size_t index) const;

  Vector<Entry> entries_;
};

}  // namespace ebbrt

#endif  // EBBRT_NET_NETWORKRIGHTS_H_
