// Ports of chance: what one clone has open, no other can guess.
#ifndef EBBRT_NET_CHANCEPORT_H_
#define EBBRT_NET_CHANCEPORT_H_

#include "lwip/err.h"
#include "lwip/opt.h"

namespace ebbrt {

// Calls bind(port) until it answers something else than ERR_USE, or too many
// ports are in use.
template <class Bind> err_t BindByChance(Bind bind) {
  // Those that lwIP and Linux give to callers.
  constexpr uint32_t kFirstPort = 0xc000;
  constexpr uint32_t kPorts = 0x10000 - kFirstPort;
  constexpr int kTries = 64;
  err_t bound = ERR_USE;
  for (int i = 0; i < kTries && bound == ERR_USE; ++i)
    bound = bind(static_cast<u16_t>(kFirstPort + LWIP_RAND() % kPorts));
  return bound;
}

}  // namespace ebbrt

#endif  // EBBRT_NET_CHANCEPORT_H_
