// Wire format version 1: what travels between the host and the guest over the
// virtio console, and between the kernel and the runner on descriptor 3. A
// frame is this header and `length` bytes of payload. The host's side of it is
// orchestrator/wire.py; both are tested against tests/vectors/frames.json.
#ifndef EBBRT_MESSENGER_FRAME_H_
#define EBBRT_MESSENGER_FRAME_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ebbrt {

enum class FrameType : std::uint16_t {
  // Host to guest.
  kSync = 0x01,
  kOptimise = 0x02,
  kLoad = 0x03,
  kInvoke = 0x04,
  kUnload = 0x05,
  kStatusRequest = 0x06,
  kShutdown = 0x07,
  // To a snapshot point with the arguments it names; the others, past it.
  kBegin = 0x08,
  kRest = 0x09,
  // Host to a node of many UCs.
  kBoot = 0x10,
  kCapture = 0x11,
  kDeploy = 0x12,
  kEnd = 0x13,
  kEvict = 0x14,
  kExport = 0x15,
  kImport = 0x16,
  kBreak = 0x17,
  kList = 0x18,
  // What the request of the same id, which follows, may reach.
  kAllow = 0x19,
  // Guest to host.
  kReady = 0x81,
  kDone = 0x82,
  kLoaded = 0x83,
  kResult = 0x84,
  kError = 0x85,
  kStdout = 0x86,
  kStderr = 0x87,
  kStatus = 0x88,
  kLog = 0x89,
  kEnded = 0x8a,
  kCaptured = 0x8b,
  kDeployed = 0x8c,
  kExported = 0x8d,
  kListed = 0x8e,
  kPoint = 0x8f,
};

// A context with this bit names a snapshot: a UC is deployed from it and gets
// the frame.
constexpr std::uint32_t kSnapshotContext = 0x80000000;

enum class FrameError {
  kNone,
  kMagic,
  kVersion,
  kCheck,
  kFlags,
  kLength,
};

// Static text for logs and error frames.
const char* Describe(FrameError error);

struct FrameHeader {
  static constexpr std::uint32_t kMagic = 0x53554553;  // "SEUS" in memory
  static constexpr std::uint8_t kVersion = 1;
  static constexpr std::uint32_t kMaxPayload = 8 << 20;

  std::uint32_t magic = kMagic;
  std::uint8_t version = kVersion;
  std::uint8_t flags = 0;
  FrameType type = {};
  std::uint64_t id = 0;       // request, chosen by the host; answers echo it
  std::uint32_t context = 0;  // UC; 0 is the node itself
  std::uint32_t length = 0;   // of the payload, in bytes
  // Of a request: how long it may run, in ms; 0 is for ever. Of the answer to
  // one that named a snapshot: what the deploy took, in ns. Else 0.
  std::uint32_t time = 0;
  std::uint32_t check = 0;  // CRC-32 of the bytes before it

  // Sets `check`; to be called after any other member was changed.
  void Seal();
  // The first thing that is wrong, in the order of FrameError.
  FrameError Check() const;

  static FrameHeader Make(FrameType type, std::uint64_t id,
                          std::uint32_t context, std::uint32_t length,
                          std::uint32_t time = 0);

  std::span<const std::byte, 32> bytes() const;
};

static_assert(std::endian::native == std::endian::little);
static_assert(sizeof(FrameHeader) == 32);
static_assert(offsetof(FrameHeader, magic) == 0);
static_assert(offsetof(FrameHeader, version) == 4);
static_assert(offsetof(FrameHeader, flags) == 5);
static_assert(offsetof(FrameHeader, type) == 6);
static_assert(offsetof(FrameHeader, id) == 8);
static_assert(offsetof(FrameHeader, context) == 16);
static_assert(offsetof(FrameHeader, length) == 20);
static_assert(offsetof(FrameHeader, time) == 24);
static_assert(offsetof(FrameHeader, check) == 28);

// Payload of kSync.
struct SyncPayload {
  std::uint64_t wall_clock_ns;  // Unix time
  std::uint64_t generation;
  std::byte seed[32];
};
static_assert(sizeof(SyncPayload) == 48);
static_assert(offsetof(SyncPayload, generation) == 8);
static_assert(offsetof(SyncPayload, seed) == 16);

}  // namespace ebbrt

#endif  // EBBRT_MESSENGER_FRAME_H_
