// What a console descriptor is to its UC, and what stands for it in a snapshot,
// where there is no UC to be bound to.
#ifndef EBBRT_UC_CONSOLEROLE_H_
#define EBBRT_UC_CONSOLEROLE_H_

#include "files/CloneMap.h"
#include "files/Descriptor.h"

namespace ebbrt {

enum class ConsoleRole { kOutput, kErrors, kChannel };

class ConsolePrototype final : public Descriptor {
 public:
  ConsolePrototype(ConsoleRole role, int flags)
      : Descriptor(Kind::kConsole, flags), role_(role) {}

  ConsoleRole role() const { return role_; }
  Result<void> GetStat(abi::Stat&) const override {
    return Errno::kBadDescriptor;
  }

 private:
  ConsoleRole role_;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_CONSOLEROLE_H_
