// lwIP's view of the compiler and the kernel.
#ifndef EBBRT_NET_LWIP_ARCH_CC_H_
#define EBBRT_NET_LWIP_ARCH_CC_H_

#include <stdlib.h>
#include <sys/types.h>

#define LWIP_RAND() NetworkRandom()
#define LWIP_PLATFORM_DIAG(message)

#endif  // EBBRT_NET_LWIP_ARCH_CC_H_
