// Random things that a UC may do with its files. Sides in the same state that
// do the same must see the same: an operation gives a text of all it saw.
#ifndef EBBRT_HOST_TESTS_FILEOPERATIONS_H_
#define EBBRT_HOST_TESTS_FILEOPERATIONS_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "FileSide.h"
#include "files/Epoll.h"
#include "files/EventFd.h"
#include "files/Pipe.h"
#include "files/SocketEnd.h"

struct Operation {
  // What to do, and with what.
  std::array<std::uint8_t, 5> bytes;

  unsigned Below(std::size_t at, unsigned bound) const {
    return bytes[at] % bound;
  }
  int Number(std::size_t at) const {
    return static_cast<int>(Below(at, FileSide::kDescriptors));
  }
};

class FileOperator {
 public:
  FileOperator(FileSide& side, const Operation& operation)
      : side_(side), operation_(operation) {}

  std::string Run() {
    switch (operation_.Below(0, 20)) {
    case 0:
    case 1:
      open();
      break;
    case 2:
      see(side_.files->MakeDirectory(side_.directory, path(1), 0755));
      break;
    case 3:
      see(side_.files->Unlink(side_.directory, path(1)));
      break;
    case 4:
      see(side_.files->RemoveDirectory(side_.directory, path(1)));
      break;
    case 5:
      see(side_.files->Rename(side_.directory, path(1), side_.directory,
                              path(2), 0));
      break;
    case 6: {
      auto place = side_.files->FindDirectory(side_.directory, path(1));
      see(place.ok());
      if (place.ok())
        side_.directory = std::move(place).value();
      break;
    }
    case 7:
      make();
      break;
    case 8:
      see(side_.table.Close(operation_.Number(1)));
      break;
    case 9:
      see(side_.table.DuplicateTo(operation_.Number(1), operation_.Number(2),
                                  operation_.Below(3, 2) == 1));
      break;
    case 10: {
      auto path = side_.files->tree().PathOf(side_.directory);
      seen_ += path.ok() ? path->c_str() : "removed";
      break;
    }
    default:
      use();
      break;
    }
    return std::move(seen_);
  }

 private:
  void see(std::uint64_t number) { seen_ += std::to_string(number) + " "; }
  template <class T> void see(const ebbrt::Result<T>& result) {
    if (result.ok())
      see(static_cast<std::uint64_t>(*result));
    else
      seen_ += "error " + std::to_string(static_cast<int>(result.error()));
  }
  void see(const ebbrt::Result<void>& result) {
    see(result.ok() ? 0 : 1000 + static_cast<unsigned>(result.error()));
  }
  void see(const ebbrt::Result<std::size_t>& result,
           std::span<const std::byte> bytes) {
    see(result);
    if (result.ok())
      seen_.append(reinterpret_cast<const char*>(bytes.data()), *result);
  }

  const char* path(std::size_t at) const {
    static const char* const kPaths[] = {
        "/tmp/a", "/tmp/b",   "/tmp/a/c", "c",           "/tmp/a/d",
        "..",     "d",        "/tmp",     "/lib/text",   "/dev/zero",
        "/dev",   "/tmp/b/e", "e",        "/dev/random", "/lib"};
    return kPaths[operation_.Below(at, std::size(kPaths))];
  }

  void open() {
    namespace abi = ebbrt::abi;
    static const int kFlags[] = {
        abi::kOpenReadWrite | abi::kOpenCreate,
        abi::kOpenReadOnly,
        abi::kOpenReadWrite | abi::kOpenAppend,
        abi::kOpenReadWrite | abi::kOpenTruncate,
        abi::kOpenReadOnly | abi::kOpenDirectory,
        abi::kOpenReadWrite | abi::kOpenTemporary | abi::kOpenDirectory,
        abi::kOpenReadWrite | abi::kOpenCreate | abi::kOpenNonBlock,
        abi::kOpenPath};
    auto opened =
        side_.files->Open(side_.directory, path(1),
                          kFlags[operation_.Below(2, std::size(kFlags))],
                          0600 + operation_.Below(3, 64));
    if (opened.ok())
      see(side_.Add(std::move(opened).value(), operation_.Below(4, 2) == 1));
    else
      see(ebbrt::Result<void>(opened.error()));
  }

  void make() {
    auto status = operation_.Below(2, 2) == 1 ? ebbrt::abi::kOpenNonBlock : 0;
    switch (operation_.Below(1, 5)) {
    case 0: {
      auto pipe = ebbrt::MakePipe(status);
      see(side_.Add(std::move(pipe.reader)));
      see(side_.Add(std::move(pipe.writer)));
      break;
    }
    case 1: {
      auto pair = ebbrt::MakeSocketPair(status);
      see(side_.Add(std::move(pair.first)));
      see(side_.Add(std::move(pair.second)));
      break;
    }
    case 2:
      see(side_.Add(ebbrt::MakeRef<ebbrt::EventFd>(
          operation_.Below(3, 4), operation_.Below(4, 2) == 1, status)));
      break;
    case 3:
      see(side_.Add(ebbrt::MakeRef<ebbrt::Epoll>()));
      break;
    default:
      see(side_.Add(ebbrt::MakeRef<FakeConsole>(0, operation_.bytes[3])));
      break;
    }
  }

  void use() {
    auto descriptor = side_.Get(operation_.Number(1));
    if (!descriptor)
      return;
    see(descriptor->Ready());
    if (descriptor->kind() == ebbrt::Descriptor::Kind::kEpoll)
      return use_epoll(static_cast<ebbrt::Epoll&>(*descriptor));
    std::vector<std::byte> bytes(operation_.bytes[3] * std::size_t{67});
    switch (operation_.Below(2, 12)) {
    case 0:
    case 1:
      std::fill(bytes.begin(), bytes.end(), std::byte{operation_.bytes[4]});
      see(descriptor->Write(bytes));
      break;
    case 2:
    case 3:
      see(descriptor->Read(bytes), bytes);
      break;
    case 4:
      std::fill(bytes.begin(), bytes.end(), std::byte{operation_.bytes[4]});
      see(descriptor->PWrite(bytes, operation_.bytes[4] * std::uint64_t{233}));
      break;
    case 5:
      see(descriptor->PRead(bytes, operation_.bytes[4] * std::uint64_t{233}),
          bytes);
      break;
    case 6:
      see(descriptor->Truncate(operation_.bytes[3] * std::uint64_t{97}));
      break;
    case 7:
      see(descriptor->Seek(operation_.bytes[3] * std::int64_t{89},
                           static_cast<int>(operation_.Below(4, 3))));
      break;
    case 8:
      see(descriptor->ReadDirectory(bytes), bytes);
      break;
    case 9:
      descriptor->set_flags(operation_.Below(3, 2) == 1
                                ? ebbrt::abi::kOpenNonBlock
                                : ebbrt::abi::kOpenAppend);
      see(descriptor->SetPermissions(operation_.bytes[4]));
      break;
    case 10:
      if (descriptor->kind() == ebbrt::Descriptor::Kind::kSocket)
        see(static_cast<ebbrt::SocketEnd&>(*descriptor)
                .Shutdown(static_cast<int>(operation_.Below(3, 3))));
      else
        see(side_.table.set_close_on_exec(operation_.Number(1), true));
      break;
    default: {
      ebbrt::abi::Stat stat{};
      see(descriptor->GetStat(stat));
      seen_.append(reinterpret_cast<const char*>(&stat), sizeof(stat));
      break;
    }
    }
  }

  void use_epoll(ebbrt::Epoll& epoll) {
    namespace abi = ebbrt::abi;
    static const std::uint32_t kEvents[] = {
        abi::kPollIn, abi::kPollOut, abi::kPollIn | abi::kEpollEdge,
        abi::kPollIn | abi::kPollOut | abi::kEpollOneShot};
    const abi::EpollEvent event{kEvents[operation_.Below(4, 4)],
                                operation_.bytes[4]};
    auto number = operation_.Number(3);
    auto target = side_.Get(number);
    switch (operation_.Below(2, 4)) {
    case 0:
    case 1:
      if (target)
        see(epoll.Add(number, *target, event));
      break;
    case 2:
      if (target)
        see(operation_.Below(4, 8) < 4 ? epoll.Modify(number, *target, event)
                                       : epoll.Remove(number, *target));
      break;
    default: {
      std::vector<abi::EpollEvent> events(operation_.Below(3, 4));
      auto count = epoll.Collect(events);
      see(count);
      seen_.append(reinterpret_cast<const char*>(events.data()),
                   count * sizeof(events[0]));
      break;
    }
    }
  }

  FileSide& side_;
  Operation operation_;
  std::string seen_;
};

#endif  // EBBRT_HOST_TESTS_FILEOPERATIONS_H_
