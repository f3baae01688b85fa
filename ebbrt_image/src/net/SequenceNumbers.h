// Where connections begin to count their bytes, after RFC 6528. Nobody guesses
// it of another's, and between the same two ports it grows with time: a peer
// that still remembers the last connection knows the next for new.
#ifndef EBBRT_NET_SEQUENCENUMBERS_H_
#define EBBRT_NET_SEQUENCENUMBERS_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "files/SocketDescriptor.h"

namespace ebbrt {

class SequenceNumbers {
 public:
  using Secret = std::array<uint32_t, 4>;

  explicit SequenceNumbers(const Secret& secret) : secret_(secret) {}

  // The first of a connection begun at `now_ms`.
  uint32_t First(InternetAddress local, InternetAddress peer,
                 uint32_t now_ms) const;

 private:
  // As Linux counts: one in 64 ns, so it comes round in 4 minutes.
  static constexpr uint32_t kPerMillisecond = 1000000 / 64;

  Secret secret_;
};

}  // namespace ebbrt

#endif  // EBBRT_NET_SEQUENCENUMBERS_H_
