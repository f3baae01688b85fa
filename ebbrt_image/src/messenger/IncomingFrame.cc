#include "messenger/IncomingFrame.h"

#include <algorithm>
#include <cstring>

#include "mm/KernelFrames.h"

ebbrt::IncomingFrame&
ebbrt::IncomingFrame::operator=(IncomingFrame&& other) noexcept {
  if (this != &other) {
    release();
    header_ = other.header_;
    pages_ = std::move(other.pages_);
    filled_ = std::exchange(other.filled_, 0);
    rights_ = std::move(other.rights_);
  }
  return *this;
}

ebbrt::IncomingFrame::~IncomingFrame() {
  release();
}

bool ebbrt::IncomingFrame::Add(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    auto offset = filled_ % kPageSize;
    if (offset == 0) {
      auto pfn = KernelFrames::Allocate();
      if (!pfn.valid()) {
        release();
        return false;
      }
      pages_.PushBack(pfn);
    }
    auto size = std::min(bytes.size(), kPageSize - offset);
    std::memcpy(ToPointer<std::byte>(pages_.back()) + offset, bytes.data(),
                size);
    filled_ += static_cast<uint32_t>(size);
    bytes = bytes.subspan(size);
  }
  return true;
}

size_t ebbrt::IncomingFrame::Read(size_t offset,
                                  std::span<std::byte> bytes) const {
  size_t total = 0;
  if (offset < sizeof(FrameHeader)) {
    auto head = header_.bytes().subspan(offset);
    total = std::min(head.size(), bytes.size());
    std::memcpy(bytes.data(), head.data(), total);
    offset += total;
  }
  while (total < bytes.size() && offset < size()) {
    auto at = offset - sizeof(FrameHeader);
    auto piece = std::min(
        {bytes.size() - total, kPageSize - at % kPageSize, filled_ - at});
    std::memcpy(bytes.data() + total,
                ToPointer<std::byte>(pages_[at / kPageSize]) + at % kPageSize,
                piece);
    total += piece;
    offset += piece;
  }
  return total;
}

void ebbrt::IncomingFrame::release() {
  for (auto pfn : pages_)
    page_allocator->Free(pfn);
  pages_.Clear();
  filled_ = 0;
}
