// The two ends of a pipe. Each is closed when its last descriptor number is.
#ifndef EBBRT_FILES_PIPE_H_
#define EBBRT_FILES_PIPE_H_

#include "files/ByteChannel.h"
#include "files/Descriptor.h"

namespace ebbrt {

class PipeEnd : public Descriptor {
 public:
  Result<void> GetStat(abi::Stat& stat) const override;
  Result<std::size_t> Available() const override;
  std::uint32_t activity() const override { return channel_->activity(); }

 protected:
  PipeEnd(RefPtr<ByteChannel> channel, int flags)
      : Descriptor(Kind::kPipe, flags), channel_(std::move(channel)) {}
  PipeEnd(const PipeEnd& source, CloneMap& map);

  ByteChannel& channel() const { return *channel_; }
  // Of an end that is there or not.
  void save(bool open, StateWriter& writer, StateBuffer& body) const;

 private:
  RefPtr<ByteChannel> channel_;
};

class PipeReader : public PipeEnd {
 public:
  // `status`: kOpenNonBlock or 0.
  PipeReader(RefPtr<ByteChannel> channel, int status);
  static RefPtr<Descriptor> Load(StateReader& reader, StateCursor& body,
                                 int flags);
  ~PipeReader() override;
  std::uint32_t Ready() const override;

 protected:
  PipeReader(const PipeReader& source, CloneMap& map);

  RefPtr<Descriptor> DoClone(CloneMap& map) const override;
  StateKind Save(StateWriter& writer, StateBuffer& body) const override;
  Result<std::size_t> DoRead(std::span<std::byte> bytes) override;
};

class PipeWriter : public PipeEnd {
 public:
  PipeWriter(RefPtr<ByteChannel> channel, int status);
  static RefPtr<Descriptor> Load(StateReader& reader, StateCursor& body,
                                 int flags);
  ~PipeWriter() override;
  std::uint32_t Ready() const override;

 protected:
  PipeWriter(const PipeWriter& source, CloneMap& map);

  RefPtr<Descriptor> DoClone(CloneMap& map) const override;
  StateKind Save(StateWriter& writer, StateBuffer& body) const override;
  Result<std::size_t> DoWrite(std::span<const std::byte> bytes) override;
};

struct Pipe {
  RefPtr<Descriptor> reader;
  RefPtr<Descriptor> writer;
};
Pipe MakePipe(int status);

}  // namespace ebbrt

#endif  // EBBRT_FILES_PIPE_H_
