// Pages for a UC's files in /tmp, from the kernel's frames.
#ifndef EBBRT_UC_TMPPAGES_H_
#define EBBRT_UC_TMPPAGES_H_

#include "files/PageSource.h"

namespace ebbrt {

class TmpPages final : public PageSource {
 public:
  void* AllocatePage() override;
  void FreePage(void* page) override;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_TMPPAGES_H_
