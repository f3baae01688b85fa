// Makes the file side of a UC from what StateWriter wrote. The bytes may be
// anything: what is wrong with them is answered with an error, and nothing of
// them is left behind then.
#ifndef EBBRT_FILES_STATEREADER_H_
#define EBBRT_FILES_STATEREADER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "files/ByteChannel.h"
#include "files/DescriptorTable.h"
#include "files/FileSystem.h"
#include "files/Place.h"
#include "files/StateCursor.h"
#include "files/StateFormat.h"
#include "lib/Result.h"
#include "lib/Vector.h"

namespace ebbrt {

// Makes descriptors that are bound to a UC, which nothing here knows.
class ConsoleReader {
 public:
  // From what a ConsoleWriter wrote, or null if that makes no sense. Of
  // Kind::kConsole; its status flags are set afterwards.
  virtual RefPtr<Descriptor> ReadConsole(std::span<const std::byte> body) = 0;

 protected:
  ~ConsoleReader() = default;
};

// What the new UC brings along.
struct StateHost {
  const Archive& archive;
  RefPtr<TmpStorage> storage;  // fresh
  RandomDevice::Fill random;
  std::string_view executable;
  ConsoleReader& consoles;
  int descriptor_limit;
};

struct FileState {
  RefPtr<FileSystem> files;
  Place directory;
  DescriptorTable descriptors;
};

class StateReader {
 public:
  explicit StateReader(const StateHost& host);
  StateReader(const StateReader&) = delete;
  StateReader& operator=(const StateReader&) = delete;

  // Once. kBadMessage: the bytes are damaged. kNotSupported: another version.
  // kInvalid: made with another archive or executable. kNoSpace: more than the
  // storage's limits or the machine's memory allow.
  Result<FileState> Read(std::span<const std::byte> bytes);

  // For the Load functions of descriptors. Each fails the cursor, and then
  // gives null or the root directory, when what it takes is no such thing.
  const StateHost& host() const { return host_; }
  const RefPtr<FileSystem>& files() const { return files_; }
  RefPtr<TmpInode> TakeInode(StateCursor& cursor) const;
  RefPtr<ByteChannel> TakeChannel(StateCursor& cursor) const;
  // One that came before the descriptor that is being read.
  RefPtr<Descriptor> TakeDescriptor(StateCursor& cursor) const;
  // Of a directory.
  Place TakeDirectory(StateCursor& cursor) const;

 private:
  // An entry of a directory; the inode that it names is known by its position.
  struct Entry {
    std::string_view name;
    std::uint64_t cookie;
    std::size_t directory;
  };

  Result<void> split(std::span<const std::byte> bytes);
  Result<void> read_names();
  Result<void> read_inodes();
  Result<void> read_file(StateCursor& cursor, TmpInode::Attributes& attributes);
  void read_entries(StateCursor& cursor, TmpInode::Attributes& attributes,
                    Vector<Entry>& entries);
  bool join_tree(const Vector<Entry>& entries);
  bool read_channels();
  bool read_descriptors();
  RefPtr<Descriptor> read_descriptor(StateCursor& cursor);
  bool read_numbers(DescriptorTable& table);
  // Is every object part of the state that was made?
  bool all_used() const;
  StateCursor& section(StateSection section) {
    return sections_[static_cast<std::size_t>(section) - 1];
  }

  StateHost host_;
  StateCursor sections_[kStateSections];
  RefPtr<FileSystem> files_;
  std::uint64_t last_number_ = 0;
  Vector<RefPtr<TmpInode>> inodes_;
  Vector<RefPtr<ByteChannel>> channels_;
  Vector<RefPtr<Descriptor>> descriptors_;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_STATEREADER_H_
