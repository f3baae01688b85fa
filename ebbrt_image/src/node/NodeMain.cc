#include "arch/DebugConsole.h"
#include "lib/Assert.h"
#include "net/NetworkStack.h"
#include "node/Node.h"

extern "C" const std::byte archive_start[], archive_end[];

// The image is a node: it waits for the host's first SYNC and serves from then.
void AppMain() {
  using namespace ebbrt;
  NetworkStack::Init();
  auto opened = Archive::Open({archive_start, archive_end});
  kbugon(!opened, "the archive in the image is damaged");
  auto* archive = new Archive(std::move(*opened));
  auto* node = new Node(*archive);
  kbugon(!Messenger::ClassInit(*node),
         "no virtio console: start QEMU with -device virtio-serial-device "
         "-device virtconsole");
  kprintf("node: ready for the host\n");
}
