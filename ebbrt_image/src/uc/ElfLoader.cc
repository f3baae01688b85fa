#include "uc/ElfLoader.h"

#include <algorithm>
#include <cstring>

#include "arch/Clock.h"
#include "arch/Cpuid.h"
#include "entropy/Entropy.h"
#include "lib/Vector.h"
#include "mm/DirectMap.h"

extern "C" const std::byte vdso_start[], vdso_end[];

namespace {

struct FileHeader {
  uint8_t identity[16];
  uint16_t type;
  uint16_t machine;
  uint32_t version;
  uint64_t entry;
  uint64_t program_offset;
  uint64_t section_offset;
  uint32_t flags;
  uint16_t header_size;
  uint16_t program_size;
  uint16_t program_count;
  uint16_t section_size;
  uint16_t section_count;
  uint16_t string_section;
};
static_assert(sizeof(FileHeader) == 64);

struct ProgramHeader {
  uint32_t type;
  uint32_t flags;
  uint64_t offset;
  uint64_t address;
  uint64_t physical;
  uint64_t file_size;
  uint64_t memory_size;
  uint64_t alignment;
};
static_assert(sizeof(ProgramHeader) == 56);

constexpr uint8_t kIdentity[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
constexpr uint16_t kExecutable = 2;
constexpr uint16_t kX86 = 62;
constexpr uint32_t kLoad = 1;
constexpr uint32_t kFlagExecute = 1;
constexpr uint32_t kFlagWrite = 2;
constexpr uint32_t kFlagRead = 4;

// Auxiliary vector.
constexpr uint64_t kAuxNull = 0;
constexpr uint64_t kAuxProgramHeaders = 3;
constexpr uint64_t kAuxProgramHeaderSize = 4;
constexpr uint64_t kAuxProgramHeaderCount = 5;
constexpr uint64_t kAuxPageSize = 6;
constexpr uint64_t kAuxEntry = 9;
constexpr uint64_t kAuxUser = 11;
constexpr uint64_t kAuxEffectiveUser = 12;
constexpr uint64_t kAuxGroup = 13;
constexpr uint64_t kAuxEffectiveGroup = 14;
constexpr uint64_t kAuxCapabilities = 16;
constexpr uint64_t kAuxTicks = 17;
constexpr uint64_t kAuxSecure = 23;
constexpr uint64_t kAuxRandom = 25;
constexpr uint64_t kAuxFileName = 31;
constexpr uint64_t kAuxVdso = 33;

constexpr uint64_t kTicksPerSecond = 100;
constexpr size_t kRandomBytes = 16;

}  // namespace

ebbrt::Result<ebbrt::ElfLoader::Program>
ebbrt::ElfLoader::Load(std::string_view path,
                       std::span<const std::string_view> arguments,
                       std::span<const std::string_view> environment) {
  auto image = find(path);
  if (!image)
    return image.error();
  if (auto mapped = map_segments(*image); !mapped)
    return mapped.error();
  if (auto mapped = map_vdso(); !mapped)
    return mapped.error();
  auto stack = build_stack(arguments, environment);
  if (!stack)
    return stack.error();
  return Program{entry_, *stack, break_start_};
}

ebbrt::Result<std::span<const std::byte>>
ebbrt::ElfLoader::find(std::string_view path) const {
  auto at = Archive::kRoot;
  while (!path.empty()) {
    auto slash = path.find('/');
    auto name = path.substr(0, slash);
    path = slash == path.npos ? std::string_view() : path.substr(slash + 1);
    if (name.empty())
      continue;
    auto next = archive_.Find(at, name);
    if (!next)
      return next.error();
    at = *next;
  }
  if (archive_.is_directory(at))
    return Errno::kAccess;
  return archive_.contents(at);
}

ebbrt::Result<void>
ebbrt::ElfLoader::map_segments(std::span<const std::byte> image) {
  FileHeader header;
  if (image.size() < sizeof(header))
    return Errno::kNoExec;
  std::memcpy(&header, image.data(), sizeof(header));
  if (std::memcmp(header.identity, kIdentity, sizeof(kIdentity)) != 0 ||
      header.type != kExecutable || header.machine != kX86 ||
      // IRET to an address that is not canonical would fault in the kernel.
      header.entry >= AddressSpace::kHighest ||
      header.program_size != sizeof(ProgramHeader) ||
      header.program_offset > image.size() ||
      header.program_count * sizeof(ProgramHeader) >
          image.size() - header.program_offset)
    return Errno::kNoExec;
  entry_ = header.entry;
  program_header_count_ = header.program_count;

  for (unsigned i = 0; i < header.program_count; ++i) {
    ProgramHeader segment;
    std::memcpy(&segment,
                image.data() + header.program_offset + i * sizeof(segment),
                sizeof(segment));
    if (segment.type != kLoad || segment.memory_size == 0)
      continue;
    auto skew = segment.address % kPageSize;
    if (segment.offset % kPageSize != skew ||
        segment.file_size > segment.memory_size ||
        segment.offset > image.size() ||
        segment.file_size > image.size() - segment.offset ||
        segment.address > AddressSpace::kHighest ||
        segment.memory_size > AddressSpace::kHighest - segment.address)
      return Errno::kNoExec;
    Region region;
    region.start = segment.address - skew;
    region.end = PageUp(segment.address + segment.memory_size);
    region.protection = {(segment.flags & kFlagRead) != 0,
                         (segment.flags & kFlagWrite) != 0,
                         (segment.flags & kFlagExecute) != 0};
    if (segment.file_size > 0) {
      region.file = image.data() + segment.offset - skew;
      region.file_bytes = segment.file_size + skew;
    }
    if (auto mapped = space_.MapFixed(region); !mapped)
      return mapped;
    break_start_ = std::max(break_start_, region.end);
    if (segment.offset <= header.program_offset &&
        header.program_offset - segment.offset < segment.file_size)
      program_headers_ =
          segment.address + (header.program_offset - segment.offset);
  }
  return {};
}

ebbrt::Result<void> ebbrt::ElfLoader::map_vdso() {
  auto code_size = static_cast<uint64_t>(vdso_end - vdso_start);
  auto room = space_.FindRoom(kPageSize + code_size);
  if (!room)
    return room.error();
  Region time;
  time.start = *room;
  time.end = time.start + kPageSize;
  time.protection.read = true;
  time.file = ToPointer<const std::byte>(clock::TimePageFrame());
  time.file_bytes = kPageSize;
  Region code;
  code.start = time.end;
  code.end = code.start + code_size;
  code.protection = {true, false, true};
  code.file = vdso_start;
  code.file_bytes = code_size;
  vdso_ = code.start;
  if (auto mapped = space_.MapFixed(time); !mapped)
    return mapped;
  return space_.MapFixed(code);
}

ebbrt::Result<uint64_t>
ebbrt::ElfLoader::build_stack(std::span<const std::string_view> arguments,
                              std::span<const std::string_view> environment) {
  Region stack;
  stack.end = AddressSpace::kStackEnd;
  stack.start = stack.end - AddressSpace::kStackSize;
  stack.protection = {true, true, false};
  if (auto mapped = space_.MapFixed(stack); !mapped)
    return mapped.error();

  auto top = stack.end;
  bool written = true;
  auto push = [&](std::span<const std::byte> bytes, size_t extra) {
    top -= bytes.size() + extra;
    written = written && space_.CopyOut(top, bytes);
    return top;
  };
  auto push_text = [&](std::string_view text) {
    return push(std::as_bytes(std::span(text.data(), text.size())), 1);
  };

  Vector<uint64_t> words;
  words.PushBack(arguments.size());
  uint64_t file_name = 0;
  for (auto argument : arguments) {
    words.PushBack(push_text(argument));
    if (!file_name)
      file_name = words.back();
  }
  words.PushBack(0);
  for (auto variable : environment)
    words.PushBack(push_text(variable));
  words.PushBack(0);

  std::byte random[kRandomBytes];
  entropy->Read(random);
  auto random_address = push(random, 0);

  const uint64_t auxiliary[][2] = {
      {kAuxProgramHeaders, program_headers_},
      {kAuxProgramHeaderSize, sizeof(ProgramHeader)},
      {kAuxProgramHeaderCount, program_header_count_},
      {kAuxPageSize, kPageSize},
      {kAuxEntry, entry_},
      {kAuxUser, 0},
      {kAuxEffectiveUser, 0},
      {kAuxGroup, 0},
      {kAuxEffectiveGroup, 0},
      {kAuxCapabilities, cpuid::Query(1).edx},
      {kAuxTicks, kTicksPerSecond},
      {kAuxSecure, 0},
      {kAuxRandom, random_address},
      {kAuxFileName, file_name},
      {kAuxVdso, vdso_},
      {kAuxNull, 0},
  };
  for (const auto& entry : auxiliary) {
    words.PushBack(entry[0]);
    words.PushBack(entry[1]);
  }
  top = (top & ~uint64_t{15}) - ((words.size() + 1) & ~size_t{1}) * 8;
  written =
      written &&
      space_.CopyOut(top, std::as_bytes(std::span(words.data(), words.size())));
  if (!written)
    return Errno::kNoMemory;
  return top;
}
