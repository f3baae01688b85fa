// A frame from the host on its way to a UC: header, and payload in pages. Moves
// between cores; frees its pages where it dies.
#ifndef EBBRT_MESSENGER_INCOMINGFRAME_H_
#define EBBRT_MESSENGER_INCOMINGFRAME_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "lib/Vector.h"
#include "messenger/Frame.h"
#include "mm/Pfn.h"
#include "net/NetworkRights.h"

namespace ebbrt {

class IncomingFrame {
 public:
  IncomingFrame() = default;
  explicit IncomingFrame(const FrameHeader& header) : header_(header) {}
  IncomingFrame(IncomingFrame&& other) noexcept = default;
  IncomingFrame& operator=(IncomingFrame&& other) noexcept;
  ~IncomingFrame();

  const FrameHeader& header() const { return header_; }

  // False, and the payload is gone, when memory is short.
  bool Add(std::span<const std::byte> bytes);

  // Copies from the header and then the payload; returns how much there was.
  size_t Read(size_t offset, std::span<std::byte> bytes) const;
  // What the request may reach, if it is one and anything was said.
  void set_rights(std::unique_ptr<NetworkRights> rights) {
    rights_ = std::move(rights);
  }
  std::unique_ptr<NetworkRights> TakeRights() { return std::move(rights_); }

  // Header and payload.
  size_t size() const { return sizeof(FrameHeader) + filled_; }

 private:
  void release();

  FrameHeader header_;
  Vector<Pfn> pages_;
  uint32_t filled_ = 0;
  std::unique_ptr<NetworkRights> rights_;
};

}  // namespace ebbrt

#endif  // EBBRT_MESSENGER_INCOMINGFRAME_H_
