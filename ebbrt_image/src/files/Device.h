// The character devices: /dev/null, /dev/zero, /dev/random and /dev/urandom.
#ifndef EBBRT_FILES_DEVICE_H_
#define EBBRT_FILES_DEVICE_H_

#include "files/Descriptor.h"

namespace ebbrt {

enum class DeviceNumber : std::uint64_t {
  // Major 1, as on Linux.
  kNull = 0x103,
  kZero = 0x105,
  kRandom = 0x108,
  kUrandom = 0x109,
};

void FillStat(DeviceNumber number, abi::Stat& stat);

// Takes all that is written; seeking stays where it is.
class Device : public Descriptor {
 public:
  static RefPtr<Descriptor> Load(StateReader& reader, StateCursor& body,
                                 int flags);

  Result<std::uint64_t> Seek(std::int64_t offset, int whence) override;
  Result<void> GetStat(abi::Stat& stat) const override;

 protected:
  Device(DeviceNumber number, int flags)
      : Descriptor(Kind::kDevice, flags), number_(number) {}
  explicit Device(const Device& source)
      : Descriptor(source), number_(source.number_) {}

  StateKind Save(StateWriter& writer, StateBuffer& body) const override;

  Result<std::size_t> DoWrite(std::span<const std::byte> bytes) override;
  Result<std::size_t> DoPRead(std::span<std::byte> bytes,
                              std::uint64_t offset) override;
  Result<std::size_t> DoPWrite(std::span<const std::byte> bytes,
                               std::uint64_t offset) override;

 private:
  DeviceNumber number_;
};

class NullDevice : public Device {
 public:
  explicit NullDevice(int flags) : Device(DeviceNumber::kNull, flags) {}

 protected:
  explicit NullDevice(const NullDevice& source) : Device(source) {}

  RefPtr<Descriptor> DoClone(CloneMap& map) const override;
  Result<std::size_t> DoRead(std::span<std::byte> bytes) override;
};

class ZeroDevice : public Device {
 public:
  explicit ZeroDevice(int flags) : Device(DeviceNumber::kZero, flags) {}

 protected:
  explicit ZeroDevice(const ZeroDevice& source) : Device(source) {}

  RefPtr<Descriptor> DoClone(CloneMap& map) const override;
  Result<std::size_t> DoRead(std::span<std::byte> bytes) override;
};

class RandomDevice : public Device {
 public:
  // Fills all of the span, whatever happens.
  using Fill = void (*)(std::span<std::byte>);

  RandomDevice(DeviceNumber number, Fill fill, int flags)
      : Device(number, flags), fill_(fill) {}

 protected:
  explicit RandomDevice(const RandomDevice& source)
      : Device(source), fill_(source.fill_) {}

  RefPtr<Descriptor> DoClone(CloneMap& map) const override;
  Result<std::size_t> DoRead(std::span<std::byte> bytes) override;

 private:
  Fill fill_;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_DEVICE_H_
