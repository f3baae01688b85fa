// CRC-32 with the polynomial and conventions of zlib's crc32().
#ifndef EBBRT_LIB_CRC32_H_
#define EBBRT_LIB_CRC32_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace ebbrt {

// To go on with more bytes, pass the value of the bytes before as `seed`.
std::uint32_t Crc32(std::span<const std::byte> bytes, std::uint32_t seed = 0);

}  // namespace ebbrt

#endif  // EBBRT_LIB_CRC32_H_
