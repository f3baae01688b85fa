// Clones the file side of a UC: its descriptors, its /tmp, its current
// directory. A clone and its source share nothing but the archive and pages of
// /tmp, which are copied on the first write (FilePages.h).
//
// A CloneMap belongs to one cloning and leads from objects of the source to
// their clones. What is met first is cloned; what is met again is looked up. So
// numbers that share a description, the two ends of a pipe, an epoll set and
// what it watches, and a deleted file that is still open are tied together in
// the clone as they are in the source.
//
//   CloneMap map(consoles);
//   auto files = source_files.Clone(map, storage);  // first
//   auto directory = map.Clone(source_directory);
//   table.CloneFrom(source_table, map);
//
// What the table cannot reach is not cloned: a description that lives on only
// because a blocked call borrows it counts as closed.
//
// The source is only read, for a prototype may be cloned on several cores at
// once. That includes reference counts, which are not atomic: on the source's
// side, code that clones takes const references, follows a RefPtr, and never
// copies a RefPtr or a Place. Only the counts that FilePages keeps go up, and
// they are atomic.
// The prototype must stay unchanged while it has that role.
#ifndef EBBRT_FILES_CLONEMAP_H_
#define EBBRT_FILES_CLONEMAP_H_

#include "files/ByteChannel.h"
#include "files/Descriptor.h"
#include "files/Place.h"
#include "files/TmpInode.h"
#include "files/TmpStorage.h"
#include "lib/HashMap.h"
#include "lib/RefCounted.h"

namespace ebbrt {

class FileSystem;
class SocketOwner;

// Makes the descriptors that are bound to a UC, which nothing here knows.
class ConsoleFactory {
 public:
  // The counterpart of `source`, which is of Kind::kConsole, in the new UC.
  // Called once for every description. Never null. Status flags are set after
  // that.
  virtual RefPtr<Descriptor> CloneConsole(const Descriptor& source) = 0;
  // Whose sockets the clones are; null in a prototype, where nobody uses them.
  virtual SocketOwner* socket_owner() { return nullptr; }

 protected:
  ~ConsoleFactory() = default;
};

class CloneMap {
 public:
  // `consoles` must outlive this object.
  explicit CloneMap(ConsoleFactory& consoles);
  CloneMap(const CloneMap&) = delete;
  CloneMap& operator=(const CloneMap&) = delete;
  ~CloneMap();

  // What an epoll set watches is to be cloned before it.
  RefPtr<Descriptor> Clone(const Descriptor& source);
  // Null when there is no clone yet.
  Descriptor* Find(const Descriptor& source) const;
  // With the ends not yet open: each end opens its own.
  RefPtr<ByteChannel> Clone(const ByteChannel& source);
  // With all that is below it.
  RefPtr<TmpInode> Clone(const TmpInode& source);
  Place Clone(const Place& source);

  // FileSystem::Clone sets these; what lies in it is cloned after that.
  void SetStorage(RefPtr<TmpStorage> storage);
  void SetFileSystem(RefPtr<FileSystem> clone);
  const RefPtr<FileSystem>& file_system() const;

  ConsoleFactory& consoles() const { return consoles_; }

 private:
  RefPtr<TmpInode> clone_alone(const TmpInode& source);

  ConsoleFactory& consoles_;
  RefPtr<TmpStorage> storage_;
  RefPtr<FileSystem> file_system_;
  // By the address of the source. The clones live at least as long as the map.
  HashMap<RefPtr<Descriptor>> descriptors_;
  HashMap<RefPtr<ByteChannel>> channels_;
  HashMap<RefPtr<TmpInode>> inodes_;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_CLONEMAP_H_
