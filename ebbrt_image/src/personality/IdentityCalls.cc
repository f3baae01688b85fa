// What a program asks about itself and its machine.

#include <algorithm>
#include <cstring>

#include "arch/Clock.h"
#include "entropy/Entropy.h"
#include "mm/PageAllocator.h"
#include "personality/Calls.h"

namespace {

using namespace ebbrt;

constexpr uint64_t kInfinity = ~uint64_t{0};
constexpr int kLimitStack = 3;
constexpr int kLimitDescriptors = 7;
constexpr int kLimitCount = 16;
constexpr int kSetName = 15;
constexpr int kGetName = 16;
constexpr size_t kRandomPiece = 256;

struct Limit {
  uint64_t current;
  uint64_t maximum;
};

struct Usage {
  int64_t user_seconds;
  int64_t user_microseconds;
  int64_t system_seconds;
  int64_t system_microseconds;
  int64_t resident_kilobytes;
  int64_t unused[13];
};
static_assert(sizeof(Usage) == 144);

struct Information {
  int64_t uptime;
  uint64_t loads[3];
  uint64_t total_memory;
  uint64_t free_memory;
  uint64_t shared_memory;
  uint64_t buffer_memory;
  uint64_t total_swap;
  uint64_t free_swap;
  uint16_t processes;
  uint16_t padding;
  uint64_t total_high;
  uint64_t free_high;
  uint32_t unit;
  uint32_t tail;
};
static_assert(sizeof(Information) == 112);

Limit LimitOf(SystemCall& call, int resource) {
  if (resource == kLimitStack)
    return {AddressSpace::kStackSize, AddressSpace::kStackSize};
  if (resource == kLimitDescriptors)
    return {call.uc().limits().descriptors, call.uc().limits().descriptors};
  return {kInfinity, kInfinity};
}

}  // namespace

ebbrt::Answer ebbrt::personality::ProcessId(SystemCall&) {
  return uint64_t{1};
}

ebbrt::Answer ebbrt::personality::ParentId(SystemCall&) {
  return uint64_t{0};
}

ebbrt::Answer ebbrt::personality::UserId(SystemCall&) {
  return uint64_t{0};
}

ebbrt::Answer ebbrt::personality::SystemName(SystemCall& call) {
  struct {
    char fields[6][65];
  } names = {{"Linux", "uc", "5.10.0-ebbrt", "SEUSS", "x86_64", "(none)"}};
  return call.Give(0, names);
}

ebbrt::Answer ebbrt::personality::SystemInfo(SystemCall& call) {
  Information information = {};
  information.uptime =
      static_cast<int64_t>(ebbrt::clock::Uptime() / 1000000000);
  information.total_memory = PageAllocator::TotalFrames() * kPageSize;
  information.free_memory = PageAllocator::FreeFrames() * kPageSize;
  information.processes = 1;
  information.unit = 1;
  return call.Give(0, information);
}

ebbrt::Answer ebbrt::personality::ResourceUsage(SystemCall& call) {
  Usage usage = {};
  auto microseconds = static_cast<int64_t>(ebbrt::clock::Uptime() / 1000);
  usage.user_seconds = microseconds / 1000000;
  usage.user_microseconds = microseconds % 1000000;
  usage.resident_kilobytes =
      static_cast<int64_t>(call.space().owned_frames() * kPageSize / 1024);
  return call.Give(1, usage);
}

ebbrt::Answer ebbrt::personality::ResourceLimit(SystemCall& call) {
  auto resource = call.integer(0);
  if (resource < 0 || resource >= kLimitCount)
    return Errno::kInvalid;
  return call.Give(1, LimitOf(call, resource));
}

// Limits are set by the host; changing them here is refused.
ebbrt::Answer ebbrt::personality::ResourceLimit2(SystemCall& call) {
  auto resource = call.integer(1);
  if (resource < 0 || resource >= kLimitCount)
    return Errno::kInvalid;
  if (call.argument(2))
    return Errno::kPerm;
  if (call.argument(3))
    return call.Give(3, LimitOf(call, resource));
  return uint64_t{0};
}

// Never fails for want of entropy, whatever the flags.
ebbrt::Answer ebbrt::personality::RandomBytes(SystemCall& call) {
  auto address = call.argument(0);
  auto size = std::min<uint64_t>(call.argument(1), 0x1ffffff);
  uint64_t done = 0;
  std::byte bytes[kRandomPiece];
  while (done < size) {
    auto piece = std::min<uint64_t>(size - done, sizeof(bytes));
    entropy->Read(std::span(bytes, piece));
    if (!call.space().CopyOut(address + done, {bytes, piece}))
      return Errno::kFault;
    done += piece;
    if (!call.GoOn(piece))
      break;
  }
  std::memset(bytes, 0, sizeof(bytes));
  return done;
}

// Only the thread's name, which is not kept.
ebbrt::Answer ebbrt::personality::ProcessControl(SystemCall& call) {
  switch (call.integer(0)) {
  case kSetName:
    return uint64_t{0};
  case kGetName: {
    const char name[16] = "uc";
    return call.Give(1, name);
  }
  default:
    return Errno::kInvalid;
  }
}

ebbrt::Answer ebbrt::personality::WaitForChild(SystemCall&) {
  return Errno::kNoChild;
}
