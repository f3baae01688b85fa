// Calls that name files. The *at forms take a directory descriptor or AT_FDCWD.

#include <algorithm>
#include <cstring>

#include "arch/Clock.h"
#include "personality/Calls.h"

namespace {

using namespace ebbrt;

constexpr int kAtCurrent = -100;
constexpr int kAtNoFollow = 0x100;
constexpr int kAtRemoveDirectory = 0x200;
constexpr int kAtEmptyPath = 0x1000;
constexpr int64_t kTimeNow = (1 << 30) - 1;
constexpr int64_t kTimeOmit = (1 << 30) - 2;

// The place that a directory argument stands for.
Result<Place> Start(SystemCall& call, int number) {
  if (number == kAtCurrent)
    return Place(call.uc().files().directory());
  auto descriptor = call.uc().descriptors().Get(number);
  if (!descriptor)
    return descriptor.error();
  auto* place = (*descriptor)->place();
  if (!place)
    return Errno::kNotDirectory;
  return Place(*place);
}

// Calls act(place, path) with the place and path that two arguments give.
template <class Act>
Answer AtPath(SystemCall& call, int directory, unsigned path_index, Act act) {
  auto path = call.Path(path_index);
  if (!path)
    return path.error();
  // An absolute path does not care for the directory.
  if (path->view().starts_with('/'))
    directory = kAtCurrent;
  auto start = Start(call, directory);
  if (!start)
    return start.error();
  return act(*start, path->view());
}

Answer OpenPath(SystemCall& call, int directory, unsigned index) {
  return AtPath(call, directory, index, [&](auto& start, auto path) -> Answer {
    auto flags = call.integer(index + 1);
    auto mode = static_cast<uint32_t>(call.argument(index + 2)) & 07777 &
                ~call.uc().files().umask();
    auto opened = call.uc().files().system().Open(start, path, flags, mode);
    if (!opened)
      return opened.error();
    auto number = call.uc().descriptors().Allocate(
        std::move(*opened), (flags & abi::kOpenCloseOnExec) != 0);
    if (!number)
      return number.error();
    return static_cast<uint64_t>(*number);
  });
}

Answer StatPath(SystemCall& call, int directory, unsigned index, bool follow,
                unsigned out) {
  return AtPath(call, directory, index, [&](auto& start, auto path) -> Answer {
    abi::Stat stat;
    auto got = call.uc().files().system().GetStat(start, path, follow, stat);
    if (!got)
      return got.error();
    return call.Give(out, stat);
  });
}

Answer StatDescriptor(SystemCall& call, int number, unsigned out) {
  auto descriptor = call.uc().descriptors().Get(number);
  if (!descriptor)
    return descriptor.error();
  abi::Stat stat;
  if (auto got = (*descriptor)->GetStat(stat); !got)
    return got.error();
  return call.Give(out, stat);
}

Answer LinkTarget(SystemCall& call, int directory, unsigned index) {
  return AtPath(call, directory, index, [&](auto& start, auto path) -> Answer {
    char target[256];
    auto size = std::min<uint64_t>(call.argument(index + 2), sizeof(target));
    auto length = call.uc().files().system().ReadLink(start, path,
                                                      std::span(target, size));
    if (!length)
      return length.error();
    if (!call.space().CopyOut(call.argument(index + 1),
                              std::as_bytes(std::span(target, *length))))
      return Errno::kFault;
    return *length;
  });
}

Answer RenamePaths(SystemCall& call, int from_directory, unsigned from_index,
                   int to_directory, unsigned to_index, unsigned flags) {
  return AtPath(call, from_directory, from_index,
                [&](auto& from, auto from_path) {
                  return AtPath(call, to_directory, to_index,
                                [&](auto& to, auto to_path) {
                                  return Zero(call.uc().files().system().Rename(
                                      from, from_path, to, to_path, flags));
                                });
                });
}

uint32_t Mode(SystemCall& call, unsigned index) {
  return static_cast<uint32_t>(call.argument(index)) & 07777;
}

}  // namespace

ebbrt::Answer ebbrt::personality::Open(SystemCall& call) {
  return OpenPath(call, kAtCurrent, 0);
}

ebbrt::Answer ebbrt::personality::OpenAt(SystemCall& call) {
  return OpenPath(call, call.integer(0), 1);
}

ebbrt::Answer ebbrt::personality::Stat(SystemCall& call) {
  return StatPath(call, kAtCurrent, 0, true, 1);
}

ebbrt::Answer ebbrt::personality::LinkStat(SystemCall& call) {
  return StatPath(call, kAtCurrent, 0, false, 1);
}

ebbrt::Answer ebbrt::personality::DescriptorStat(SystemCall& call) {
  return StatDescriptor(call, call.integer(0), 1);
}

ebbrt::Answer ebbrt::personality::StatAt(SystemCall& call) {
  auto flags = call.integer(3);
  if (flags & kAtEmptyPath) {
    auto path = call.Path(1);
    if (!path)
      return path.error();
    if (path->empty() && call.integer(0) != kAtCurrent)
      return StatDescriptor(call, call.integer(0), 2);
  }
  return StatPath(call, call.integer(0), 1, !(flags & kAtNoFollow), 2);
}

ebbrt::Answer ebbrt::personality::Access(SystemCall& call) {
  return AtPath(call, kAtCurrent, 0, [&](auto& start, auto path) {
    return Zero(
        call.uc().files().system().CheckAccess(start, path, call.integer(1)));
  });
}

ebbrt::Answer ebbrt::personality::AccessAt(SystemCall& call) {
  return AtPath(call, call.integer(0), 1, [&](auto& start, auto path) {
    return Zero(
        call.uc().files().system().CheckAccess(start, path, call.integer(2)));
  });
}

ebbrt::Answer ebbrt::personality::ReadLink(SystemCall& call) {
  return LinkTarget(call, kAtCurrent, 0);
}

ebbrt::Answer ebbrt::personality::ReadLinkAt(SystemCall& call) {
  return LinkTarget(call, call.integer(0), 1);
}

ebbrt::Answer ebbrt::personality::MakeDirectory(SystemCall& call) {
  return AtPath(call, kAtCurrent, 0, [&](auto& start, auto path) {
    return Zero(call.uc().files().system().MakeDirectory(
        start, path, Mode(call, 1) & ~call.uc().files().umask()));
  });
}

ebbrt::Answer ebbrt::personality::MakeDirectoryAt(SystemCall& call) {
  return AtPath(call, call.integer(0), 1, [&](auto& start, auto path) {
    return Zero(call.uc().files().system().MakeDirectory(
        start, path, Mode(call, 2) & ~call.uc().files().umask()));
  });
}

ebbrt::Answer ebbrt::personality::RemoveDirectory(SystemCall& call) {
  return AtPath(call, kAtCurrent, 0, [&](auto& start, auto path) {
    return Zero(call.uc().files().system().RemoveDirectory(start, path));
  });
}

ebbrt::Answer ebbrt::personality::Unlink(SystemCall& call) {
  return AtPath(call, kAtCurrent, 0, [&](auto& start, auto path) {
    return Zero(call.uc().files().system().Unlink(start, path));
  });
}

ebbrt::Answer ebbrt::personality::UnlinkAt(SystemCall& call) {
  return AtPath(call, call.integer(0), 1, [&](auto& start, auto path) {
    auto& files = call.uc().files().system();
    return Zero(call.integer(2) & kAtRemoveDirectory
                    ? files.RemoveDirectory(start, path)
                    : files.Unlink(start, path));
  });
}

ebbrt::Answer ebbrt::personality::Rename(SystemCall& call) {
  return RenamePaths(call, kAtCurrent, 0, kAtCurrent, 1, 0);
}

ebbrt::Answer ebbrt::personality::RenameAt(SystemCall& call) {
  return RenamePaths(call, call.integer(0), 1, call.integer(2), 3, 0);
}

ebbrt::Answer ebbrt::personality::RenameAt2(SystemCall& call) {
  return RenamePaths(call, call.integer(0), 1, call.integer(2), 3,
                     static_cast<unsigned>(call.argument(4)));
}

ebbrt::Answer ebbrt::personality::ChangeMode(SystemCall& call) {
  return AtPath(call, kAtCurrent, 0, [&](auto& start, auto path) {
    return Zero(
        call.uc().files().system().SetPermissions(start, path, Mode(call, 1)));
  });
}

ebbrt::Answer ebbrt::personality::ChangeModeOf(SystemCall& call) {
  auto descriptor = call.uc().descriptors().Get(call.integer(0));
  if (!descriptor)
    return descriptor.error();
  return Zero((*descriptor)->SetPermissions(Mode(call, 1)));
}

ebbrt::Answer ebbrt::personality::ChangeModeAt(SystemCall& call) {
  return AtPath(call, call.integer(0), 1, [&](auto& start, auto path) {
    return Zero(
        call.uc().files().system().SetPermissions(start, path, Mode(call, 2)));
  });
}

// utimensat. UTIME_OMIT for one of the two times is refused.
ebbrt::Answer ebbrt::personality::ChangeTimesAt(SystemCall& call) {
  constexpr uint64_t kSecond = 1000000000;
  auto wall = clock::Wall();
  abi::TimeSpec now{static_cast<int64_t>(wall / kSecond),
                    static_cast<int64_t>(wall % kSecond)};
  abi::TimeSpec times[2] = {now, now};
  if (call.argument(2) && !call.space().Read(call.argument(2), times))
    return Errno::kFault;
  for (auto& time : times) {
    if (time.nanoseconds == kTimeOmit)
      return Errno::kNotSupported;
    if (time.nanoseconds == kTimeNow)
      time = now;
    if (time.nanoseconds < 0 ||
        time.nanoseconds >= static_cast<int64_t>(kSecond))
      return Errno::kInvalid;
  }
  if (!call.argument(1)) {
    auto descriptor = call.uc().descriptors().Get(call.integer(0));
    if (!descriptor)
      return descriptor.error();
    return Zero((*descriptor)->SetTimes(times[0], times[1]));
  }
  return AtPath(call, call.integer(0), 1, [&](auto& start, auto path) {
    return Zero(
        call.uc().files().system().SetTimes(start, path, times[0], times[1]));
  });
}

ebbrt::Answer ebbrt::personality::CurrentDirectory(SystemCall& call) {
  auto path =
      call.uc().files().system().tree().PathOf(call.uc().files().directory());
  if (!path)
    return path.error();
  auto size = path->size() + 1;
  if (size > call.argument(1))
    return Errno::kRange;
  if (!call.space().CopyOut(call.argument(0),
                            std::as_bytes(std::span(path->c_str(), size))))
    return Errno::kFault;
  return size;
}

ebbrt::Answer ebbrt::personality::ChangeDirectory(SystemCall& call) {
  return AtPath(call, kAtCurrent, 0, [&](auto& start, auto path) -> Answer {
    auto place = call.uc().files().system().FindDirectory(start, path);
    if (!place)
      return place.error();
    call.uc().files().set_directory(*place);
    return uint64_t{0};
  });
}

ebbrt::Answer ebbrt::personality::ChangeDirectoryTo(SystemCall& call) {
  auto place = Start(call, call.integer(0));
  if (!place)
    return place.error();
  call.uc().files().set_directory(*place);
  return uint64_t{0};
}

ebbrt::Answer ebbrt::personality::FileModeMask(SystemCall& call) {
  auto old = call.uc().files().umask();
  call.uc().files().set_umask(static_cast<uint32_t>(call.argument(0)) & 0777);
  return uint64_t{old};
}
