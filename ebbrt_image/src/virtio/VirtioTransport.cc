#include "virtio/VirtioTransport.h"

#include "virtio/VirtioMmio.h"
#include "virtio/VirtioPci.h"

std::unique_ptr<ebbrt::VirtioTransport>
ebbrt::VirtioTransport::Find(uint32_t device_id) {
  if (auto mmio = VirtioMmio::Find(device_id))
    return mmio;
  return VirtioPci::Find(device_id);
}
