// Bodies that a server has packed, whole, cut or bent: what comes out is what
// went in, or nothing, and never more than is allowed.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include <zlib.h>

#include "FuzzInput.h"
#include "Inflate.h"

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes Plain(FuzzInput& input) {
  Bytes bytes;
  // Runs, so that little unpacks to much.
  for (auto runs = input.Below(16); runs > 0; --runs)
    bytes.insert(bytes.end(), input.Below(256) * (input.Below(4) ? 1u : 400u),
                 static_cast<std::uint8_t>(input.Below(256)));
  return bytes;
}

Bytes Pack(const Bytes& plain, int window) {
  z_stream stream = {};
  deflateInit2(&stream, 1, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY);
  Bytes packed(deflateBound(&stream, plain.size()));
  stream.next_in = const_cast<Bytef*>(plain.data());
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = packed.data();
  stream.avail_out = static_cast<uInt>(packed.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
    std::abort();
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

void Bend(FuzzInput& input, Bytes& packed) {
  for (auto count = input.Below(4); count > 0; --count)
    packed[input.Below(256) % packed.size()] =
        static_cast<std::uint8_t>(input.Below(256));
  if (input.Below(2))
    packed.resize(input.Below(256) % packed.size());
  packed.shrink_to_fit();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  FuzzInput input(data, size);
  auto plain = Plain(input);
  constexpr int kGzip = 16;
  constexpr int kWindows[] = {MAX_WBITS + kGzip, MAX_WBITS, -MAX_WBITS};
  auto kind = input.Below(3);
  auto packed = Pack(plain, kWindows[kind]);
  auto bent = input.Below(2) == 1;
  if (bent)
    Bend(input, packed);
  std::size_t most = input.Below(2) ? plain.size() : input.Below(256) * 64u;
  std::size_t length = 0;
  const char* fault = nullptr;
  auto* bytes =
      Inflate(packed.data(), packed.size(), kind == 0, most, &length, &fault);
  if (bytes && length > most)
    std::abort();
  if (!bytes && !fault)
    std::abort();
  if (!bent && (bytes != nullptr) != (plain.size() <= most))
    std::abort();
  if (!bent && bytes &&
      (length != plain.size() ||
       !std::equal(plain.begin(), plain.end(), bytes)))
    std::abort();
  std::free(bytes);
  return 0;
}
