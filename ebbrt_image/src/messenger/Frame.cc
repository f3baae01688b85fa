#include "messenger/Frame.h"

#include "lib/Crc32.h"

namespace {

std::uint32_t compute_check(const ebbrt::FrameHeader& header) {
  return ebbrt::Crc32(
      header.bytes().first(offsetof(ebbrt::FrameHeader, check)));
}

}  // namespace

const char* ebbrt::Describe(FrameError error) {
  switch (error) {
  case FrameError::kNone:
    return "no error";
  case FrameError::kMagic:
    return "frame does not begin with SEUS";
  case FrameError::kVersion:
    return "frame has another version than 1";
  case FrameError::kCheck:
    return "frame header has a wrong check sum";
  case FrameError::kFlags:
    return "frame has flags that version 1 does not know";
  case FrameError::kLength:
    return "frame payload is longer than 8 MiB";
  }
  return "unknown frame error";
}

void ebbrt::FrameHeader::Seal() {
  check = compute_check(*this);
}

ebbrt::FrameError ebbrt::FrameHeader::Check() const {
  if (magic != kMagic)
    return FrameError::kMagic;
  if (version != kVersion)
    return FrameError::kVersion;
  if (check != compute_check(*this))
    return FrameError::kCheck;
  if (flags != 0)
    return FrameError::kFlags;
  if (length > kMaxPayload)
    return FrameError::kLength;
  return FrameError::kNone;
}

ebbrt::FrameHeader ebbrt::FrameHeader::Make(FrameType type, std::uint64_t id,
                                            std::uint32_t context,
                                            std::uint32_t length,
                                            std::uint32_t time) {
  FrameHeader header;
  header.type = type;
  header.id = id;
  header.context = context;
  header.length = length;
  header.time = time;
  header.Seal();
  return header;
}

std::span<const std::byte, 32> ebbrt::FrameHeader::bytes() const {
  return std::span<const std::byte, 32>(
      reinterpret_cast<const std::byte*>(this), sizeof(*this));
}
