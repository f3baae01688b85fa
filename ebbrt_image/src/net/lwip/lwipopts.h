// How lwIP 2.1.3 is built in: IPv4, TCP and UDP under our event loop, no
// threads, no sockets of its own. Debian's source, unchanged; the values that
// are not said here are lwIP's.
#ifndef EBBRT_NET_LWIP_LWIPOPTS_H_
#define EBBRT_NET_LWIP_LWIPOPTS_H_

#define NO_SYS 1
#define LWIP_SOCKET 0
#define LWIP_NETCONN 0
#define LWIP_NETIF_API 0
#define SYS_LIGHTWEIGHT_PROT 0
// lwIP's list of timers cannot do without memory; ours has nothing in it.
#define LWIP_TIMERS 0

#define LWIP_IPV4 1
#define LWIP_IPV6 0
#define LWIP_UDP 1
#define LWIP_UDPLITE 0
#define LWIP_RAW 0
#define LWIP_ICMP 1
#define IP_FORWARD 0
#define IP_REASSEMBLY 0
#define IP_FRAG 0
// Only what was asked for goes into the table of neighbours.
#define ETHARP_TRUST_IP_MAC 0

// All memory is the kernel's heap, which says no before its reserve is touched.
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define mem_clib_malloc NetworkAllocate
#define mem_clib_calloc NetworkAllocateZeroed
#define mem_clib_free NetworkFree
#define MEM_ALIGNMENT 16

#define TCP_MSS 1460
#define TCP_WND (44 * TCP_MSS)
#define TCP_SND_BUF (44 * TCP_MSS)
#define TCP_SND_QUEUELEN 180
#define MEMP_NUM_TCP_SEG 180
#define TCP_LISTEN_BACKLOG 0
// A closed connection of ours waits for stray frames this long, in ms, twice.
#define TCP_MSL 1000
#define LWIP_TCP_TIMESTAMPS 0
#define LWIP_HOOK_TCP_ISN(local, local_port, remote, remote_port)              \
  NetworkFirstNumber((local)->addr, local_port, (remote)->addr, remote_port)

#define LWIP_STATS 0
// Some of its assertions are about what peers send, and the code behind each
// copes; the fuzzer runs without them, too.
#define LWIP_NOASSERT 1
#define LWIP_CHKSUM_ALGORITHM 3
#define LWIP_PROVIDE_ERRNO 1
#define LWIP_NO_UNISTD_H 1
#define LWIP_NO_CTYPE_H 1

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
// net/LwipPort.cc
void* NetworkAllocate(size_t size);
void NetworkFree(void* object);
uint32_t NetworkRandom(void);
// net/TcpIp.cc
uint32_t NetworkFirstNumber(uint32_t local, uint16_t local_port, uint32_t peer,
                            uint16_t peer_port);
#ifdef __cplusplus
}
#endif

// lwIP multiplies sizes of its own, which are small.
static inline void* NetworkAllocateZeroed(size_t count, size_t size) {
  void* object = NetworkAllocate(count * size);
  if (object)
    memset(object, 0, count * size);
  return object;
}

#endif  // EBBRT_NET_LWIP_LWIPOPTS_H_
