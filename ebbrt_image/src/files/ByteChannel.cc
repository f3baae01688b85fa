#include "files/ByteChannel.h"

#include "files/Abi.h"
#include "lib/Assert.h"

ebbrt::RefPtr<ebbrt::ByteChannel>
ebbrt::ByteChannel::RestoreWithoutEnds(std::span<const std::byte> bytes,
                                       std::uint32_t activity) {
  auto channel = MakeRef<ByteChannel>();
  auto written = channel->buffer_.Write(bytes);
  kassert(written == bytes.size());
  channel->reader_open_ = false;
  channel->writer_open_ = false;
  channel->activity_ = activity;
  return channel;
}

ebbrt::RefPtr<ebbrt::ByteChannel> ebbrt::ByteChannel::CloneWithoutEnds() const {
  auto channel = RestoreWithoutEnds({}, activity_);
  ForEachPiece([&channel](std::span<const std::byte> piece) {
    channel->buffer_.Write(piece);
  });
  return channel;
}

ebbrt::Result<std::size_t>
ebbrt::ByteChannel::Peek(std::span<std::byte> bytes) const {
  if (buffer_.empty() && !bytes.empty() && writer_open_ && reader_open_)
    return Errno::kAgain;
  return buffer_.Peek(bytes);
}

ebbrt::Result<std::size_t>
ebbrt::ByteChannel::Read(std::span<std::byte> bytes) {
  auto result = Peek(bytes);
  if (result.ok() && *result > 0) {
    buffer_.Drop(*result);
    ++activity_;
  }
  return result;
}

ebbrt::Result<std::size_t>
ebbrt::ByteChannel::Write(std::span<const std::byte> bytes) {
  if (bytes.empty())
    return std::size_t{0};
  if (!reader_open_ || !writer_open_)
    return Errno::kBrokenPipe;
  auto whole = bytes.size() <= abi::kPipeAtomic;
  if (buffer_.space() == 0 || (whole && bytes.size() > buffer_.space()))
    return Errno::kAgain;
  ++activity_;
  return buffer_.Write(bytes);
}

void ebbrt::ByteChannel::CloseWriter() {
  writer_open_ = false;
  ++activity_;
}

void ebbrt::ByteChannel::StopReading() {
  reader_open_ = false;
  ++activity_;
}

void ebbrt::ByteChannel::CloseReader() {
  StopReading();
  buffer_.Clear();
}

bool ebbrt::ByteChannel::writable() const {
  return buffer_.space() >= abi::kPipeAtomic;
}
