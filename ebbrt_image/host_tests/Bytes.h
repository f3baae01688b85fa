// Text as bytes and back, for tests.
#ifndef EBBRT_HOST_TESTS_BYTES_H_
#define EBBRT_HOST_TESTS_BYTES_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "files/Descriptor.h"

inline std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// One Read of at most `size` bytes; an error comes as "error <number>".
inline std::string ReadText(ebbrt::Descriptor& descriptor, std::size_t size) {
  std::vector<std::byte> bytes(size);
  auto result = descriptor.Read(bytes);
  if (!result.ok())
    return "error " + std::to_string(static_cast<int>(result.error()));
  return Text(std::span(bytes).first(*result));
}

#endif  // EBBRT_HOST_TESTS_BYTES_H_
