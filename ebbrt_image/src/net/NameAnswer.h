// Answers questions for names (RFC 1035) from a UC's rights: it learns the
// addresses of hosts that it may reach, its own loopback, and no others.
// Nothing leaves the machine.
#ifndef EBBRT_NET_NAMEANSWER_H_
#define EBBRT_NET_NAMEANSWER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "net/NetworkRights.h"

namespace ebbrt {

// Where C libraries look for a name server when no file tells them.
constexpr InternetAddress kNameServer = {0x7f000001, 53};

constexpr size_t kMaxNameMessage = 512;

// Writes the answer to `question` and returns its size; 0 if it is no question.
// Without rights, `rights` is null.
size_t AnswerName(const NetworkRights* rights,
                  std::span<const std::byte> question,
                  std::span<std::byte, kMaxNameMessage> answer);

}  // namespace ebbrt

#endif  // EBBRT_NET_NAMEANSWER_H_
