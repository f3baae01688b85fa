// Writes the file side of a UC as StateFormat.h says. What the table cannot
// reach is left out, as with CloneMap.h, so a clone gives the bytes of its
// source. The source is only read, under the rule of CloneMap.h.
#ifndef EBBRT_FILES_STATEWRITER_H_
#define EBBRT_FILES_STATEWRITER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "files/Descriptor.h"
#include "files/Place.h"
#include "files/StateBuffer.h"
#include "files/StateFormat.h"
#include "lib/HashMap.h"
#include "lib/Vector.h"

namespace ebbrt {

class ByteChannel;
class DescriptorTable;
class FileSystem;
class TmpInode;

// Writes descriptors that are bound to a UC, which nothing here knows.
class ConsoleWriter {
 public:
  // Adds what a ConsoleReader needs to make the counterpart of `source`, which
  // is of Kind::kConsole. Its flags are kept without that.
  virtual void WriteConsole(const Descriptor& source, StateBuffer& body) = 0;

 protected:
  ~ConsoleWriter() = default;
};

// Where the bytes go, in order.
class StateSink {
 public:
  virtual void Write(std::span<const std::byte> bytes) = 0;

 protected:
  ~StateSink() = default;
};

class StateWriter {
 public:
  // Nothing of the source may change until the last Emit.
  StateWriter(const FileSystem& files, const Place& directory,
              const DescriptorTable& table, ConsoleWriter& consoles);
  StateWriter(const StateWriter&) = delete;
  StateWriter& operator=(const StateWriter&) = delete;

  // How many bytes Emit gives.
  std::uint64_t size() const;
  // Contents of /tmp come straight from their pages.
  void Emit(StateSink& sink) const;

  // For Descriptor::Save. The index of an object, which is thereby taken up.
  std::uint32_t IndexOf(const ByteChannel& channel);
  std::uint32_t IndexOf(const TmpInode& inode);
  void AddPlace(StateBuffer& buffer, const Place& place);
  // Null for a descriptor that the table does not reach.
  const std::uint32_t* Find(const Descriptor& descriptor) const;
  ConsoleWriter& consoles() const { return consoles_; }

 private:
  struct Page {
    const std::byte* data;
    std::size_t size;  // without the zeros at the end
  };

  void take_tree(const TmpInode& root);
  void take_table(const DescriptorTable& table);
  void take_descriptor(const Descriptor& descriptor);
  void write_channels();
  void write_inodes();
  void write_file(const TmpInode& inode, StateBuffer& buffer);
  StateBuffer& section(StateSection section) {
    return sections_[static_cast<std::size_t>(section) - 1];
  }

  ConsoleWriter& consoles_;
  HashMap<std::uint32_t> inode_indices_;
  HashMap<std::uint32_t> channel_indices_;
  HashMap<std::uint32_t> descriptor_indices_;
  Vector<const TmpInode*> inodes_;
  Vector<const ByteChannel*> channels_;
  // That of kPages stays empty; its bytes are not gathered.
  StateBuffer sections_[kStateSections];
  Vector<Page> pages_;
  std::uint64_t pages_size_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_STATEWRITER_H_
