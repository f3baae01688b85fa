// Pages for a UC's files in /tmp, from the kernel's frames.
#pragma once

#include "files/PageSource.h"

namespace ebbrt {

class TmpPages final : public PageSource {
 public:
  void* AllocatePage() override;
  void FreePage(void* page) override;
};

}  // namespace ebbrt
