// Pages for UCs' files in /tmp: frames, whose reference counts say who owns
// them.
#ifndef EBBRT_UC_TMPPAGES_H_
#define EBBRT_UC_TMPPAGES_H_

#include "files/PageSource.h"

namespace ebbrt {

class TmpPages final : public PageSource {
 public:
  void* AllocatePage() override;
  void SharePage(void* page) override;
  bool IsShared(const void* page) const override;
  void FreePage(void* page) override;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_TMPPAGES_H_
