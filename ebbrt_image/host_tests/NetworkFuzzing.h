// What fuzzers of the network share: an empty network, which must be as empty
// afterwards.
#ifndef EBBRT_HOST_TESTS_NETWORKFUZZING_H_
#define EBBRT_HOST_TESTS_NETWORKFUZZING_H_

#include <cstdlib>

#include "FuzzInput.h"
#include "HostNetwork.h"

namespace ebbrt::test {

// Above this number of frames on the wire a run ends.
constexpr std::size_t kMostSent = 4096;

// run(input, network); neither frames nor connections may stay.
template <class Run>
int FuzzNetwork(const std::uint8_t* data, std::size_t size, Run run) {
  auto& network = HostNetwork::Get();
  network.Clear();
  auto before = HostNetwork::allocations();
  FuzzInput input(data, size);
  run(input, network);
  HostNetwork::SetShort(false);
  network.Clear();
  if (HostNetwork::allocations() != before)
    std::abort();
  return 0;
}

}  // namespace ebbrt::test

#endif  // EBBRT_HOST_TESTS_NETWORKFUZZING_H_
