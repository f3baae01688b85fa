#include "net/SequenceNumbers.h"

#include <span>

#include "entropy/Blake2s.h"

uint32_t ebbrt::SequenceNumbers::First(InternetAddress local,
                                       InternetAddress peer,
                                       uint32_t now_ms) const {
  const uint32_t between[] = {local.host, local.port, peer.host, peer.port};
  uint32_t start;
  Blake2s hash(sizeof start, std::as_bytes(std::span(secret_)));
  hash.Update(std::as_bytes(std::span(between)));
  hash.Finish(std::as_writable_bytes(std::span(&start, 1)));
  return start + now_ms * kPerMillisecond;
}
