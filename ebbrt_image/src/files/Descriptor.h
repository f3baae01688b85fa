// An open file description in the sense of Linux: what read, write and their
// like act on. Several numbers of a DescriptorTable may share one.
//
// Nothing here waits. A call that would have to wait answers kAgain whatever
// kOpenNonBlock says; the system-call layer waits for Ready() and calls again.
//
// Snapshots clone descriptors (CloneMap.h). Each class has a constructor that
// copies a source's state and takes clones of what the source refers to.
#ifndef EBBRT_FILES_DESCRIPTOR_H_
#define EBBRT_FILES_DESCRIPTOR_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "files/Abi.h"
#include "lib/IntrusiveList.h"
#include "lib/RefCounted.h"
#include "lib/Result.h"

namespace ebbrt {

class CloneMap;
class Place;
class StateBuffer;
class StateCursor;
class StateReader;
class StateWriter;
enum class StateKind : std::uint8_t;

// Told when the descriptor it watches goes away. Holds no reference: watching a
// pipe must not keep its end open.
class DescriptorWatch : public IntrusiveListHook<DescriptorWatch> {
 public:
  // The watch is off the descriptor's list already.
  virtual void DescriptorGone() = 0;

 protected:
  ~DescriptorWatch() = default;
};

// One page of a file's contents.
struct FilePage {
  // Page aligned and a whole page, zero beyond the end of the file; null when
  // the page is all zeros.
  const std::byte* data;
  // True: the page stays as it is for good and may be mapped read-only. False:
  // it may change at the next call and is to be copied.
  bool permanent;
};

class Descriptor : public RefCounted<Descriptor> {
 public:
  enum class Kind {
    kFile,
    kDirectory,
    kDevice,
    kPipe,
    kSocket,
    kEventFd,
    kEpoll,
    kConsole,  // what the kernel makes for stdout, stderr and the messenger
  };

  virtual ~Descriptor();

  Kind kind() const { return kind_; }
  // Access mode and status flags, as F_GETFL answers.
  int flags() const { return flags_; }
  // F_SETFL: changes kOpenAppend and kOpenNonBlock, ignores the rest.
  void set_flags(int flags);
  bool non_blocking() const { return (flags_ & abi::kOpenNonBlock) != 0; }
  bool readable() const;
  bool writable() const;

  // Check the access mode, then do it. Read answers 0 at the end.
  Result<std::size_t> Read(std::span<std::byte> bytes);
  Result<std::size_t> Write(std::span<const std::byte> bytes);
  Result<std::size_t> PRead(std::span<std::byte> bytes, std::uint64_t offset);
  Result<std::size_t> PWrite(std::span<const std::byte> bytes,
                             std::uint64_t offset);
  Result<void> Truncate(std::uint64_t size);

  virtual Result<std::uint64_t> Seek(std::int64_t offset, int whence);
  virtual Result<void> GetStat(abi::Stat& stat) const = 0;
  // Whole getdents64 records; 0 at the end, kInvalid if not even one fits.
  virtual Result<std::size_t> ReadDirectory(std::span<std::byte> buffer);
  // For mmap. kNoDevice: cannot be mapped. kFault: beyond the end.
  virtual Result<FilePage> PageAt(std::uint64_t index) const;
  // fchmod and futimens.
  virtual Result<void> SetPermissions(std::uint32_t permissions);
  virtual Result<void> SetTimes(const abi::TimeSpec& accessed,
                                const abi::TimeSpec& modified);
  // How many bytes a Read would give at once (FIONREAD).
  virtual Result<std::size_t> Available() const;

  // The poll bits that hold now. kPollError and kPollHangUp are among them
  // whether asked for or not.
  virtual std::uint32_t Ready() const;
  // Changes with everything that can turn into a new edge for epoll.
  virtual std::uint32_t activity() const { return 0; }
  // False: always ready, and epoll refuses it.
  virtual bool pollable() const { return true; }
  // Where a directory lies, for the calls that name files relative to it; null
  // for all other kinds.
  virtual const Place* place() const { return nullptr; }

  void AddWatch(DescriptorWatch& watch) { watches_.PushBack(watch); }
  void RemoveWatch(DescriptorWatch& watch) { watches_.Erase(watch); }

 protected:
  Descriptor(Kind kind, int flags);
  // A clone: watched by nobody yet.
  explicit Descriptor(const Descriptor& source);

  // For CloneMap, which calls it once for every source. It must not touch the
  // source's reference counts. A console, which is bound to its UC, leaves it
  // to the map's ConsoleFactory; every other kind overrides it.
  virtual RefPtr<Descriptor> DoClone(CloneMap& map) const;
  // For StateWriter: adds the state to `body`. What it wrote, the Load function
  // of the same class reads, which gives null for what makes no sense. A
  // console leaves it to the writer's ConsoleWriter.
  virtual StateKind Save(StateWriter& writer, StateBuffer& body) const;

  virtual Result<std::size_t> DoRead(std::span<std::byte> bytes);
  virtual Result<std::size_t> DoWrite(std::span<const std::byte> bytes);
  virtual Result<std::size_t> DoPRead(std::span<std::byte> bytes,
                                      std::uint64_t offset);
  virtual Result<std::size_t> DoPWrite(std::span<const std::byte> bytes,
                                       std::uint64_t offset);
  virtual Result<void> DoTruncate(std::uint64_t size);

 private:
  friend class CloneMap;
  friend class StateWriter;

  Kind kind_;
  int flags_;
  IntrusiveList<DescriptorWatch, DescriptorWatch> watches_;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_DESCRIPTOR_H_
