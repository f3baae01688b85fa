// Takes small numbers off the front of a fuzz input; zeros after its end.
#ifndef EBBRT_HOST_TESTS_FUZZINPUT_H_
#define EBBRT_HOST_TESTS_FUZZINPUT_H_

#include <cstddef>
#include <cstdint>

class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size)
      : at_(data), end_(data + size) {}

  bool done() const { return at_ == end_; }
  // Below `bound`, which is at most 256.
  unsigned Below(unsigned bound) { return done() ? 0 : *at_++ % bound; }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

#endif  // EBBRT_HOST_TESTS_FUZZINPUT_H_
