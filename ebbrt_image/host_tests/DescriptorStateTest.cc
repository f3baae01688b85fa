// What StateReader takes and refuses of single descriptors.
#include <functional>
#include <vector>

#include "StateParts.h"

namespace {

namespace abi = ebbrt::abi;
using ebbrt::StateBuffer;

class DescriptorStateTest : public StateReadingTest {
 protected:
  using Fill = std::function<void(StateBuffer&)>;

  // A state with an empty file (inode 1), two channels with ends (0 and 1), an
  // event counter (descriptor 4), and then one more descriptor.
  int ReadWith(ebbrt::StateKind kind, int flags, const Fill& fill) {
    StateParts parts;
    parts.AddDirectory({"f"});
    parts.AddFile();
    parts.AddChannel();
    parts.AddChannel(100);
    for (std::uint32_t channel : {0, 1}) {
      auto end = [channel](StateBuffer& body) {
        body.Add32(channel);
        body.Add8(1);
      };
      parts.AddDescriptor(ebbrt::StateKind::kPipeReader, 0, end);
      parts.AddDescriptor(ebbrt::StateKind::kPipeWriter, abi::kOpenWriteOnly,
                          end);
    }
    parts.AddDescriptor(ebbrt::StateKind::kEventFd, abi::kOpenReadWrite,
                        [](StateBuffer& body) {
                          body.Add64(1);
                          body.Add8(0);
                          body.Add32(1);
                        });
    parts.AddDescriptor(kind, flags, fill);
    return Read(parts);
  }
  // A file with a position.
  int ReadFile(ebbrt::StateKind kind, std::uint32_t index,
               std::uint64_t position, int flags = 0) {
    return ReadWith(kind, flags, [=](StateBuffer& body) {
      body.Add32(index);
      body.Add64(position);
    });
  }
};

TEST_F(DescriptorStateTest, Files) {
  auto kind = ebbrt::StateKind::kTmpFile;
  EXPECT_EQ(ReadFile(kind, 1, INT64_MAX), kGood);
  EXPECT_EQ(ReadFile(kind, 1, std::uint64_t{1} << 63), kDamaged);
  EXPECT_EQ(ReadFile(kind, 0, 0), kDamaged);
  EXPECT_EQ(ReadFile(kind, 2, 0), kDamaged);
  EXPECT_EQ(ReadFile(kind, 1, 0, abi::kOpenAppend), kGood);
  EXPECT_EQ(ReadFile(kind, 1, 0, abi::kOpenCreate), kDamaged);
  kind = ebbrt::StateKind::kArchiveFile;
  EXPECT_EQ(ReadFile(kind, 0, 0), kDamaged);
  EXPECT_EQ(ReadFile(kind, FileSide::archive().entry_count(), 0), kDamaged);
  EXPECT_EQ(ReadFile(kind, FileSide::archive().entry_count() - 1, 0), kGood);
}

TEST_F(DescriptorStateTest, Devices) {
  auto read = [this](std::uint32_t number) {
    return ReadWith(ebbrt::StateKind::kDevice, 0,
                    [=](StateBuffer& body) { body.Add32(number); });
  };
  EXPECT_EQ(read(0x103), kGood);
  EXPECT_EQ(read(0x104), kDamaged);
}

TEST_F(DescriptorStateTest, Ends) {
  auto pipe = [this](ebbrt::StateKind kind, std::uint32_t channel,
                     std::uint8_t open, int flags) {
    return ReadWith(kind, flags, [=](StateBuffer& body) {
      body.Add32(channel);
      body.Add8(open);
    });
  };
  EXPECT_EQ(pipe(ebbrt::StateKind::kPipeReader, 1, 1, 0), kGood);
  EXPECT_EQ(pipe(ebbrt::StateKind::kPipeReader, 2, 1, 0), kDamaged);
  EXPECT_EQ(pipe(ebbrt::StateKind::kPipeReader, 1, 2, 0), kDamaged);
  EXPECT_EQ(pipe(ebbrt::StateKind::kPipeReader, 1, 1, 1), kDamaged);
  EXPECT_EQ(pipe(ebbrt::StateKind::kPipeWriter, 1, 1, 0), kDamaged);
  auto socket = [this](std::uint32_t incoming, std::uint32_t outgoing) {
    return ReadWith(ebbrt::StateKind::kSocketEnd, abi::kOpenReadWrite,
                    [=](StateBuffer& body) {
                      body.Add32(incoming);
                      body.Add8(0);
                      body.Add32(outgoing);
                      body.Add8(1);
                    });
  };
  EXPECT_EQ(socket(1, 0), kGood);
  EXPECT_EQ(socket(2, 0), kDamaged);
  EXPECT_EQ(socket(0, 2), kDamaged);
}

TEST_F(DescriptorStateTest, EventCounters) {
  auto read = [this](std::uint64_t count, int flags) {
    return ReadWith(ebbrt::StateKind::kEventFd, flags, [=](StateBuffer& body) {
      body.Add64(count);
      body.Add8(1);
      body.Add32(0);
    });
  };
  EXPECT_EQ(read(UINT64_MAX - 1, abi::kOpenReadWrite), kGood);
  EXPECT_EQ(read(UINT64_MAX, abi::kOpenReadWrite), kDamaged);
  EXPECT_EQ(read(0, abi::kOpenReadOnly), kDamaged);
}

TEST_F(DescriptorStateTest, EpollSets) {
  auto read = [this](std::vector<std::uint32_t> watched, std::size_t rest = 0) {
    return ReadWith(ebbrt::StateKind::kEpoll, abi::kOpenReadWrite,
                    [&](StateBuffer& body) {
                      for (auto descriptor : watched) {
                        body.Add32(0);
                        body.Add32(descriptor);
                        body.Add32(abi::kPollIn);
                        body.Add64(0);
                        body.Add64(0);
                      }
                      for (; rest > 0; --rest)
                        body.Add8(0);
                    });
  };
  EXPECT_EQ(read({}), kGood);
  EXPECT_EQ(read({4, 0}), kGood);
  EXPECT_EQ(read({4, 4}), kDamaged);
  // Itself.
  EXPECT_EQ(read({5}), kDamaged);
  EXPECT_EQ(read({6}), kDamaged);
  EXPECT_EQ(read({4}, 1), kDamaged);
}

TEST_F(DescriptorStateTest, Consoles) {
  auto read = [this](std::size_t size, int flags) {
    return ReadWith(ebbrt::StateKind::kConsole, flags, [=](StateBuffer& body) {
      for (std::size_t i = 0; i < size; ++i)
        body.Add8(1);
    });
  };
  EXPECT_EQ(read(1, abi::kOpenReadWrite | abi::kOpenNonBlock), kGood);
  EXPECT_EQ(read(1, abi::kOpenWriteOnly), kDamaged);
  EXPECT_EQ(read(2, abi::kOpenReadWrite), kDamaged);
}

TEST_F(DescriptorStateTest, BodiesAreUsedUp) {
  EXPECT_EQ(ReadWith(ebbrt::StateKind::kDevice, 0,
                     [](StateBuffer& body) { body.Add64(0x103); }),
            kDamaged);
  EXPECT_EQ(ReadWith(ebbrt::StateKind::kTmpFile, 0,
                     [](StateBuffer& body) { body.Add32(1); }),
            kDamaged);
  EXPECT_EQ(ReadWith(static_cast<ebbrt::StateKind>(0), 0, [](StateBuffer&) {}),
            kDamaged);
  EXPECT_EQ(ReadWith(static_cast<ebbrt::StateKind>(11), 0, [](StateBuffer&) {}),
            kDamaged);
}

}  // namespace
