#include "files/Descriptor.h"

#include "files/CloneMap.h"
#include "files/StateWriter.h"
#include "lib/Assert.h"

namespace {

// O_CREAT and its like only matter while opening.
constexpr int kChangeable = ebbrt::abi::kOpenAppend | ebbrt::abi::kOpenNonBlock;
constexpr int kKept = kChangeable | ebbrt::abi::kOpenAccessMask |
                      ebbrt::abi::kOpenDirectory | ebbrt::abi::kOpenPath;
constexpr std::uint64_t kMaxOffset = INT64_MAX;

}  // namespace

ebbrt::Descriptor::Descriptor(Kind kind, int flags)
    : kind_(kind), flags_(flags & kKept) {}

ebbrt::Descriptor::Descriptor(const Descriptor& source)
    : RefCounted(), kind_(source.kind_), flags_(source.flags_) {}

ebbrt::Descriptor::~Descriptor() {
  while (auto watch = watches_.PopFront())
    watch->DescriptorGone();
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::Descriptor::DoClone(CloneMap& map) const {
  kbugon(kind_ != Kind::kConsole, "a kind of descriptor that cannot be cloned");
  auto clone = map.consoles().CloneConsole(*this);
  clone->set_flags(flags_);
  return clone;
}

ebbrt::StateKind ebbrt::Descriptor::Save(StateWriter& writer,
                                         StateBuffer& body) const {
  kbugon(kind_ != Kind::kConsole, "a kind of descriptor that cannot be saved");
  writer.consoles().WriteConsole(*this, body);
  return StateKind::kConsole;
}

void ebbrt::Descriptor::set_flags(int flags) {
  flags_ = (flags_ & ~kChangeable) | (flags & kChangeable);
}

bool ebbrt::Descriptor::readable() const {
  return (flags_ & abi::kOpenPath) == 0 &&
         (flags_ & abi::kOpenAccessMask) != abi::kOpenWriteOnly;
}

bool ebbrt::Descriptor::writable() const {
  return (flags_ & abi::kOpenPath) == 0 &&
         (flags_ & abi::kOpenAccessMask) != abi::kOpenReadOnly;
}

ebbrt::Result<std::size_t> ebbrt::Descriptor::Read(std::span<std::byte> bytes) {
  if (!readable())
    return Errno::kBadDescriptor;
  return DoRead(bytes);
}

ebbrt::Result<std::size_t>
ebbrt::Descriptor::Write(std::span<const std::byte> bytes) {
  if (!writable())
    return Errno::kBadDescriptor;
  return DoWrite(bytes);
}

ebbrt::Result<std::size_t> ebbrt::Descriptor::PRead(std::span<std::byte> bytes,
                                                    std::uint64_t offset) {
  if (!readable())
    return Errno::kBadDescriptor;
  if (offset > kMaxOffset)
    return Errno::kInvalid;
  return DoPRead(bytes, offset);
}

ebbrt::Result<std::size_t>
ebbrt::Descriptor::PWrite(std::span<const std::byte> bytes,
                          std::uint64_t offset) {
  if (!writable())
    return Errno::kBadDescriptor;
  if (offset > kMaxOffset)
    return Errno::kInvalid;
  return DoPWrite(bytes, offset);
}

ebbrt::Result<void> ebbrt::Descriptor::Truncate(std::uint64_t size) {
  if (!writable() || size > kMaxOffset)
    return Errno::kInvalid;
  return DoTruncate(size);
}

ebbrt::Result<std::uint64_t> ebbrt::Descriptor::Seek(std::int64_t, int) {
  return Errno::kIllegalSeek;
}

ebbrt::Result<std::size_t>
ebbrt::Descriptor::ReadDirectory(std::span<std::byte>) {
  return Errno::kNotDirectory;
}

ebbrt::Result<ebbrt::FilePage> ebbrt::Descriptor::PageAt(std::uint64_t) const {
  return Errno::kNoDevice;
}

ebbrt::Result<void> ebbrt::Descriptor::SetPermissions(std::uint32_t) {
  return Errno::kInvalid;
}

ebbrt::Result<void> ebbrt::Descriptor::SetTimes(const abi::TimeSpec&,
                                                const abi::TimeSpec&) {
  return Errno::kInvalid;
}

ebbrt::Result<std::size_t> ebbrt::Descriptor::Available() const {
  return Errno::kNotTerminal;
}

std::uint32_t ebbrt::Descriptor::Ready() const {
  return (readable() ? abi::kPollIn | abi::kPollReadNormal : 0) |
         (writable() ? abi::kPollOut | abi::kPollWriteNormal : 0);
}

ebbrt::Result<std::size_t> ebbrt::Descriptor::DoRead(std::span<std::byte>) {
  return Errno::kInvalid;
}

ebbrt::Result<std::size_t>
ebbrt::Descriptor::DoWrite(std::span<const std::byte>) {
  return Errno::kInvalid;
}

ebbrt::Result<std::size_t> ebbrt::Descriptor::DoPRead(std::span<std::byte>,
                                                      std::uint64_t) {
  return Errno::kIllegalSeek;
}

ebbrt::Result<std::size_t>
ebbrt::Descriptor::DoPWrite(std::span<const std::byte>, std::uint64_t) {
  return Errno::kIllegalSeek;
}

ebbrt::Result<void> ebbrt::Descriptor::DoTruncate(std::uint64_t) {
  return Errno::kInvalid;
}
