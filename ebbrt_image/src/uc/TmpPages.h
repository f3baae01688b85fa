// Pages for UCs' files in /tmp: frames, whose reference counts say who owns
// them.
#ifndef EBBRT_UC_TMPPAGES_H_
#define EBBRT_UC_TMPPAGES_H_

#include "files/PageSource.h"

namespace ebbrt {

class AddressSpace;

class TmpPages final : public PageSource {
 public:
  // `payer` is the UC's memory, whose limit the pages count for; null for a
  // prototype, which only shares.
  explicit TmpPages(AddressSpace* payer) : payer_(payer) {}

  void* AllocatePage() override;
  void SharePage(void* page) override;
  bool IsShared(const void* page) const override;
  void FreePage(void* page) override;

 private:
  AddressSpace* payer_;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_TMPPAGES_H_
