#include "files/Pipe.h"

#include "files/CloneMap.h"
#include "files/StateReader.h"
#include "files/StateWriter.h"

namespace {

constexpr std::uint32_t kPermissions = 0600;

}  // namespace

ebbrt::PipeEnd::PipeEnd(const PipeEnd& source, CloneMap& map)
    : Descriptor(source), channel_(map.Clone(*source.channel_)) {}

void ebbrt::PipeEnd::save(bool open, StateWriter& writer,
                          StateBuffer& body) const {
  body.Add32(writer.IndexOf(*channel_));
  body.Add8(open ? 1 : 0);
}

ebbrt::Result<void> ebbrt::PipeEnd::GetStat(abi::Stat& stat) const {
  constexpr std::int64_t kBlockSize = 4096;
  stat = {};
  stat.mode = abi::kModeFifo | kPermissions;
  stat.links = 1;
  stat.block_size = kBlockSize;
  return {};
}

ebbrt::Result<std::size_t> ebbrt::PipeEnd::Available() const {
  return channel_->size();
}

ebbrt::PipeReader::PipeReader(RefPtr<ByteChannel> channel, int status)
    : PipeEnd(std::move(channel), abi::kOpenReadOnly | status) {}

ebbrt::PipeReader::PipeReader(const PipeReader& source, CloneMap& map)
    : PipeEnd(source, map) {
  channel().RestoreReader(source.channel().reader_open());
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::PipeReader::DoClone(CloneMap& map) const {
  return RefPtr<PipeReader>::Adopt(new PipeReader(*this, map));
}

ebbrt::StateKind ebbrt::PipeReader::Save(StateWriter& writer,
                                         StateBuffer& body) const {
  save(channel().reader_open(), writer, body);
  return StateKind::kPipeReader;
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::PipeReader::Load(StateReader& reader, StateCursor& body, int flags) {
  auto channel = reader.TakeChannel(body);
  if (!channel || (flags & abi::kOpenAccessMask) != abi::kOpenReadOnly)
    return nullptr;
  channel->RestoreReader(body.TakeBool());
  return MakeRef<PipeReader>(std::move(channel), flags);
}

ebbrt::PipeReader::~PipeReader() {
  channel().CloseReader();
}

std::uint32_t ebbrt::PipeReader::Ready() const {
  std::uint32_t ready = 0;
  if (channel().size() > 0)
    ready |= abi::kPollIn | abi::kPollReadNormal;
  if (!channel().writer_open())
    ready |= abi::kPollHangUp;
  return ready;
}

ebbrt::Result<std::size_t>
ebbrt::PipeReader::DoRead(std::span<std::byte> bytes) {
  return channel().Read(bytes);
}

ebbrt::PipeWriter::PipeWriter(RefPtr<ByteChannel> channel, int status)
    : PipeEnd(std::move(channel), abi::kOpenWriteOnly | status) {}

ebbrt::PipeWriter::PipeWriter(const PipeWriter& source, CloneMap& map)
    : PipeEnd(source, map) {
  channel().RestoreWriter(source.channel().writer_open());
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::PipeWriter::DoClone(CloneMap& map) const {
  return RefPtr<PipeWriter>::Adopt(new PipeWriter(*this, map));
}

ebbrt::StateKind ebbrt::PipeWriter::Save(StateWriter& writer,
                                         StateBuffer& body) const {
  save(channel().writer_open(), writer, body);
  return StateKind::kPipeWriter;
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::PipeWriter::Load(StateReader& reader, StateCursor& body, int flags) {
  auto channel = reader.TakeChannel(body);
  if (!channel || (flags & abi::kOpenAccessMask) != abi::kOpenWriteOnly)
    return nullptr;
  channel->RestoreWriter(body.TakeBool());
  return MakeRef<PipeWriter>(std::move(channel), flags);
}

ebbrt::PipeWriter::~PipeWriter() {
  channel().CloseWriter();
}

std::uint32_t ebbrt::PipeWriter::Ready() const {
  std::uint32_t ready = 0;
  if (channel().writable())
    ready |= abi::kPollOut | abi::kPollWriteNormal;
  if (!channel().reader_open())
    ready |= abi::kPollError;
  return ready;
}

ebbrt::Result<std::size_t>
ebbrt::PipeWriter::DoWrite(std::span<const std::byte> bytes) {
  return channel().Write(bytes);
}

ebbrt::Pipe ebbrt::MakePipe(int status) {
  auto channel = MakeRef<ByteChannel>();
  return {MakeRef<PipeReader>(channel, status),
          MakeRef<PipeWriter>(channel, status)};
}
