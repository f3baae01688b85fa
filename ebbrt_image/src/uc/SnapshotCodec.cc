#include "uc/SnapshotCodec.h"

#include <cstring>

#include "arch/Clock.h"
#include "files/StateBuffer.h"
#include "files/StateCursor.h"
#include "lib/Crc32.h"
#include "mm/DirectMap.h"
#include "uc/AddressSpace.h"

extern "C" {
extern const std::byte archive_start[], archive_end[];
extern const std::byte vdso_start[], vdso_end[];
}

namespace {

constexpr char kMagic[9] = "EBUCSTAT";
constexpr size_t kMagicSize = 8;
constexpr uint32_t kVersion = 2;
constexpr size_t kCheckSize = 4;
constexpr uint32_t kMaxThreads = 256;
// MXCSR bits that exist; others make FXRSTOR fault.
constexpr uint32_t kMxcsrMask = 0xFFFF;
constexpr size_t kMxcsrOffset = 24;

// Of all that is there once: magic, version, break, thread id, ready, serving,
// umask, signals, the counts of regions and threads, the size of the file side,
// check sum.
constexpr uint64_t kFixedSize = kMagicSize + 4 + 8 + 8 + 4 + 1 + 1 + 4 +
                                sizeof(ebbrt::SignalActions) + 4 + 4 + 8 +
                                kCheckSize;
constexpr uint64_t kRegionSize = 8 + 8 + 1 + 1 + 8 + 8;
// What pipes hold is gathered in one piece.
constexpr uint64_t kMaxPipeFrames = 256;

class SummingSink final : public ebbrt::StateSink {
 public:
  explicit SummingSink(ebbrt::StateSink& sink) : sink_(sink) {}
  void Write(std::span<const std::byte> bytes) override {
    sum_ = ebbrt::Crc32(bytes, sum_);
    sink_.Write(bytes);
  }
  uint32_t sum() const { return sum_; }

 private:
  ebbrt::StateSink& sink_;
  uint32_t sum_ = 0;
};

// What of the image fills a region.
enum class Source : uint8_t { kNone, kArchive, kVdso, kTimePage };

struct SourceBytes {
  Source source;
  const std::byte* start;
  uint64_t size;
};

const std::byte* TimePage() {
  return ebbrt::ToPointer<const std::byte>(ebbrt::clock::TimePageFrame());
}

SourceBytes BytesOf(Source source) {
  switch (source) {
  case Source::kArchive:
    return {source, archive_start,
            static_cast<uint64_t>(archive_end - archive_start)};
  case Source::kVdso:
    return {source, vdso_start, static_cast<uint64_t>(vdso_end - vdso_start)};
  case Source::kTimePage:
    return {source, TimePage(), ebbrt::kPageSize};
  default:
    return {Source::kNone, nullptr, 0};
  }
}

void AddRegion(ebbrt::StateBuffer& out, const ebbrt::Region& region) {
  out.Add64(region.start);
  out.Add64(region.end);
  out.Add8(static_cast<uint8_t>(region.protection.read |
                                region.protection.write << 1 |
                                region.protection.execute << 2));
  auto found = BytesOf(Source::kNone);
  for (auto source : {Source::kArchive, Source::kVdso, Source::kTimePage}) {
    auto bytes = BytesOf(source);
    if (region.file >= bytes.start && region.file < bytes.start + bytes.size)
      found = bytes;
  }
  out.Add8(static_cast<uint8_t>(found.source));
  out.Add64(static_cast<uint64_t>(region.file - found.start));
  out.Add64(region.file_bytes);
}

ebbrt::Region TakeRegion(ebbrt::StateCursor& in) {
  using namespace ebbrt;
  Region region;
  region.start = in.Take64();
  region.end = in.Take64();
  auto bits = in.Take8();
  region.protection = {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
  auto source = in.Take8();
  auto offset = in.Take64();
  region.file_bytes = in.Take64();
  in.Expect(bits < 8 && region.start % kPageSize == 0 &&
            region.end % kPageSize == 0 && region.start < region.end &&
            region.start >= AddressSpace::kLowest &&
            region.end <= AddressSpace::kHighest &&
            source <= static_cast<uint8_t>(Source::kTimePage));
  auto bytes = BytesOf(static_cast<Source>(source));
  in.Expect(offset % kPageSize == 0 && offset <= bytes.size &&
            region.file_bytes <= bytes.size - offset &&
            region.file_bytes <= region.size());
  if (in.ok() && bytes.start)
    region.file = bytes.start + offset;
  return region;
}

ebbrt::ThreadState TakeThread(ebbrt::StateCursor& in) {
  using namespace ebbrt;
  ThreadState thread = {};
  auto bytes = in.TakeBytes(sizeof(thread));
  if (!in.ok())
    return thread;
  std::memcpy(&thread, bytes.data(), sizeof(thread));
  in.Expect(thread.fs_base < AddressSpace::kHighest &&
            thread.gs_base < AddressSpace::kHighest &&
            thread.frame.rip < AddressSpace::kHighest &&
            thread.id <= ~uint32_t{0});
  uint32_t mxcsr;
  std::memcpy(&mxcsr, thread.fpu + kMxcsrOffset, sizeof(mxcsr));
  in.Expect((mxcsr & ~kMxcsrMask) == 0);
  return thread;
}

}  // namespace

ebbrt::Result<uint64_t> ebbrt::snapshot_codec::EncodedSize(Snapshot& snapshot,
                                                           uint64_t limit) {
  const auto& state = snapshot.state();
  if (state.files->BufferFrames() > kMaxPipeFrames)
    return Errno::kTooBig;
  auto size =
      kFixedSize + snapshot.memory().regions().regions().size() * kRegionSize +
      state.threads.size() * sizeof(ThreadState) + state.files->SavedSize();
  if (size > limit)
    return Errno::kTooBig;
  return size;
}

void ebbrt::snapshot_codec::Encode(Snapshot& snapshot, StateSink& sink) {
  const auto& state = snapshot.state();
  SummingSink out(sink);
  StateBuffer piece;
  auto flush = [&out, &piece] {
    out.Write(piece.bytes());
    piece.Clear();
  };
  piece.AddBytes(std::as_bytes(std::span(kMagic, kMagicSize)));
  piece.Add32(kVersion);
  piece.Add64(state.break_start);
  piece.Add64(state.break_end);
  piece.Add32(state.next_thread_id);
  piece.Add8(state.ready);
  piece.Add8(state.serving);
  piece.Add32(state.files->umask());
  piece.AddBytes(std::as_bytes(std::span(&state.signals, 1)));
  const auto& regions = snapshot.memory().regions().regions();
  piece.Add32(static_cast<uint32_t>(regions.size()));
  for (const auto& region : regions) {
    AddRegion(piece, region);
    flush();
  }
  piece.Add32(static_cast<uint32_t>(state.threads.size()));
  flush();
  for (const auto& thread : state.threads)
    out.Write(std::as_bytes(std::span(&thread, 1)));
  piece.Add64(state.files->SavedSize());
  flush();
  state.files->Save(out);
  piece.Add32(out.sum());
  flush();
}

ebbrt::Result<ebbrt::snapshot_codec::Decoded>
ebbrt::snapshot_codec::Decode(std::span<const std::byte> bytes,
                              const Archive& archive, UcFiles::Limits limits) {
  if (bytes.size() < kMagicSize + kCheckSize)
    return Errno::kBadMessage;
  auto body = bytes.first(bytes.size() - kCheckSize);
  StateCursor check(bytes.last(kCheckSize));
  if (Crc32(body) != check.Take32())
    return Errno::kBadMessage;
  StateCursor in(body);
  auto magic = in.TakeBytes(kMagicSize);
  if (std::memcmp(magic.data(), kMagic, kMagicSize) != 0)
    return Errno::kBadMessage;
  if (in.Take32() != kVersion)
    return Errno::kNotSupported;
  Decoded decoded;
  auto& state = decoded.state;
  state.break_start = in.Take64();
  state.break_end = in.Take64();
  state.next_thread_id = in.Take32();
  state.ready = in.TakeBool();
  state.serving = in.TakeBool();
  auto umask = in.Take32();
  auto signals = in.TakeBytes(sizeof(state.signals));
  if (in.ok())
    std::memcpy(&state.signals, signals.data(), sizeof(state.signals));
  auto region_count = in.Take32();
  in.Expect(region_count < RegionMap::kMaxRegions);
  for (uint32_t i = 0; i < region_count && in.ok(); ++i) {
    auto region = TakeRegion(in);
    in.Expect(decoded.regions.Free(region.start, region.end));
    if (in.ok())
      in.Expect(decoded.regions.Insert(region));
  }
  auto thread_count = in.Take32();
  in.Expect(thread_count > 0 && thread_count <= kMaxThreads);
  for (uint32_t i = 0; i < thread_count && in.ok(); ++i)
    state.threads.PushBack(TakeThread(in));
  auto files = in.TakeBytes(in.Take64());
  if (!in.complete())
    return Errno::kBadMessage;
  auto read = UcFiles::Load(files, archive, limits);
  if (!read)
    return read.error();
  state.files = std::move(*read);
  state.files->set_umask(umask & 0777);
  return decoded;
}
