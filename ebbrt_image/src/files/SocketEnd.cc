#include "files/SocketEnd.h"

#include "files/CloneMap.h"
#include "files/StateReader.h"
#include "files/StateWriter.h"

ebbrt::SocketEnd::SocketEnd(RefPtr<ByteChannel> incoming,
                            RefPtr<ByteChannel> outgoing, int status)
    : SocketDescriptor(status), incoming_(std::move(incoming)),
      outgoing_(std::move(outgoing)) {}

ebbrt::SocketEnd::SocketEnd(const SocketEnd& source, CloneMap& map)
    : SocketDescriptor(source), incoming_(map.Clone(*source.incoming_)),
      outgoing_(map.Clone(*source.outgoing_)) {
  incoming_->RestoreReader(source.incoming_->reader_open());
  outgoing_->RestoreWriter(source.outgoing_->writer_open());
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::SocketEnd::DoClone(CloneMap& map) const {
  return RefPtr<SocketEnd>::Adopt(new SocketEnd(*this, map));
}

ebbrt::StateKind ebbrt::SocketEnd::Save(StateWriter& writer,
                                        StateBuffer& body) const {
  body.Add32(writer.IndexOf(*incoming_));
  body.Add8(incoming_->reader_open() ? 1 : 0);
  body.Add32(writer.IndexOf(*outgoing_));
  body.Add8(outgoing_->writer_open() ? 1 : 0);
  return StateKind::kSocketEnd;
}

ebbrt::RefPtr<ebbrt::SocketEnd>
ebbrt::SocketEnd::Load(StateReader& reader, StateCursor& body, int flags) {
  auto incoming = reader.TakeChannel(body);
  auto reading = body.TakeBool();
  auto outgoing = reader.TakeChannel(body);
  auto writing = body.TakeBool();
  if (!body.ok() || (flags & abi::kOpenAccessMask) != abi::kOpenReadWrite)
    return nullptr;
  incoming->RestoreReader(reading);
  outgoing->RestoreWriter(writing);
  return MakeRef<SocketEnd>(std::move(incoming), std::move(outgoing), flags);
}

ebbrt::SocketEnd::~SocketEnd() {
  incoming_->CloseReader();
  outgoing_->CloseWriter();
}

ebbrt::Result<std::size_t> ebbrt::SocketEnd::Peek(std::span<std::byte> bytes) {
  return incoming_->Peek(bytes);
}

ebbrt::Result<void> ebbrt::SocketEnd::Shutdown(int how) {
  if (how < abi::kShutdownRead || how > abi::kShutdownBoth)
    return Errno::kInvalid;
  if (how != abi::kShutdownWrite)
    incoming_->StopReading();
  if (how != abi::kShutdownRead)
    outgoing_->CloseWriter();
  return {};
}

ebbrt::Result<std::size_t> ebbrt::SocketEnd::Available() const {
  return incoming_->size();
}

std::uint32_t ebbrt::SocketEnd::Ready() const {
  std::uint32_t ready = 0;
  // Either side may have ended a direction; reads then answer at once.
  auto no_more = !incoming_->writer_open() || !incoming_->reader_open();
  auto no_way_out = !outgoing_->writer_open() || !outgoing_->reader_open();
  if (incoming_->size() > 0 || no_more)
    ready |= abi::kPollIn | abi::kPollReadNormal;
  if (no_more)
    ready |= abi::kPollReadHangUp;
  if (no_more && no_way_out)
    ready |= abi::kPollHangUp;
  // A write that fails at once is a write that does not wait.
  if (outgoing_->writable() || no_way_out)
    ready |= abi::kPollOut | abi::kPollWriteNormal;
  return ready;
}

std::uint32_t ebbrt::SocketEnd::activity() const {
  return incoming_->activity() + outgoing_->activity();
}

ebbrt::Result<std::size_t>
ebbrt::SocketEnd::DoRead(std::span<std::byte> bytes) {
  return incoming_->Read(bytes);
}

ebbrt::Result<std::size_t>
ebbrt::SocketEnd::DoWrite(std::span<const std::byte> bytes) {
  return outgoing_->Write(bytes);
}

ebbrt::SocketPair ebbrt::MakeSocketPair(int status) {
  auto forth = MakeRef<ByteChannel>();
  auto back = MakeRef<ByteChannel>();
  return {MakeRef<SocketEnd>(back, forth, status),
          MakeRef<SocketEnd>(forth, back, status)};
}
