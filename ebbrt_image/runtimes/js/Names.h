// Names of hosts to addresses, by the name server that the kernel itself is.
#pragma once

#include <stdint.h>

enum { kMostAddresses = 16 };

// The IPv4 addresses of a host in the network's byte order; how many, 0 where
// there is none, -1 without a descriptor to ask with. Waits for nothing: the
// answer is there with the question.
int AddressesOf(const char* host, uint32_t addresses[kMostAddresses]);
