// The descriptor numbers of one UC.
#ifndef EBBRT_FILES_DESCRIPTORTABLE_H_
#define EBBRT_FILES_DESCRIPTORTABLE_H_

#include <cstddef>

#include "files/Descriptor.h"
#include "lib/RefCounted.h"
#include "lib/Result.h"
#include "lib/Vector.h"

namespace ebbrt {

class DescriptorTable {
 public:
  // Numbers are below `limit`.
  explicit DescriptorTable(int limit) : limit_(limit) {}

  // Closes all and opens clones of what `source` has, under the same numbers
  // and even beyond this table's limit.
  void CloneFrom(const DescriptorTable& source, CloneMap& map);

  int limit() const { return limit_; }
  std::size_t open_count() const { return open_count_; }

  // kBadDescriptor for a number that is not open.
  Result<RefPtr<Descriptor>> Get(int number) const;

  // The lowest free number that is at least `minimum`: kTooManyFiles when there
  // is none, kInvalid when `minimum` is no number.
  Result<int> Allocate(RefPtr<Descriptor> descriptor, bool close_on_exec,
                       int minimum = 0);
  // dup and F_DUPFD.
  Result<int> Duplicate(int number, bool close_on_exec, int minimum = 0);
  // dup2: the same number twice changes nothing.
  Result<int> DuplicateTo(int number, int target);
  // dup3: the same number twice is kInvalid.
  Result<int> DuplicateTo(int number, int target, bool close_on_exec);
  // Puts `descriptor` at a given number; what was there is closed.
  Result<void> Set(int number, RefPtr<Descriptor> descriptor,
                   bool close_on_exec);

  Result<void> Close(int number);
  // close_range: both ends included.
  void CloseRange(unsigned first, unsigned last);
  void CloseAll();
  void CloseOnExec();

  Result<bool> close_on_exec(int number) const;
  Result<void> set_close_on_exec(int number, bool close_on_exec);

  // visit(number, descriptor&) in the order of numbers. It must not open or
  // close any.
  template <class F> void ForEach(F&& visit) const {
    for (std::size_t i = 0; i < slots_.size(); ++i)
      if (slots_[i].descriptor)
        visit(static_cast<int>(i), *slots_[i].descriptor);
  }

 private:
  struct Slot {
    RefPtr<Descriptor> descriptor;
    bool close_on_exec = false;
  };

  bool open(int number) const;
  Slot& slot(int number);

  Vector<Slot> slots_;
  int limit_;
  std::size_t open_count_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_DESCRIPTORTABLE_H_
