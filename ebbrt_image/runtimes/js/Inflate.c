#include "Inflate.h"

#include <stdlib.h>
#include <zlib.h>

enum { kFirstSpace = 64 << 10, kGzipOnly = 16, kTries = 2 };

static const char kDamaged[] = "it is no good compressed data";
static const char kTooLarge[] = "unpacked it has more than 64 MiB";
static const char kNoMemory[] = "there is no memory to unpack it";

// One byte more than `most` is room to see that there is more.
static bool Grow(uint8_t** bytes, size_t* space, size_t most) {
  size_t wanted = *space ? 2 * *space : kFirstSpace;
  if (wanted > most + 1)
    wanted = most + 1;
  uint8_t* larger = realloc(*bytes, wanted);
  if (!larger)
    return false;
  *bytes = larger;
  *space = wanted;
  return true;
}

static bool AnotherFollows(const z_stream* stream) {
  return stream->avail_in > 1 && stream->next_in[0] == 0x1f &&
         stream->next_in[1] == 0x8b;
}

// Unpacks one stream after the other, as gzip allows; NULL with the fault.
static uint8_t* Run(z_stream* stream, bool many, size_t most, size_t* length,
                    const char** fault) {
  uint8_t* bytes = NULL;
  size_t space = 0;
  size_t done = 0;
  *fault = kNoMemory;
  for (;;) {
    if (done == space && !Grow(&bytes, &space, most))
      break;
    stream->next_out = bytes + done;
    stream->avail_out = (uInt)(space - done);
    int got = inflate(stream, Z_NO_FLUSH);
    done = space - stream->avail_out;
    if (done > most) {
      *fault = kTooLarge;
      break;
    }
    if (got == Z_STREAM_END) {
      if (many && AnotherFollows(stream) && inflateReset(stream) == Z_OK)
        continue;
      *length = done;
      return bytes;
    }
    // With room left, more input is what it lacks.
    if (got != Z_OK || (stream->avail_in == 0 && stream->avail_out > 0)) {
      *fault = got == Z_MEM_ERROR ? kNoMemory : kDamaged;
      break;
    }
  }
  free(bytes);
  return NULL;
}

uint8_t* Inflate(const uint8_t* packed, size_t packed_length, bool gzip,
                 size_t most, size_t* length, const char** fault) {
  int windows[kTries] = {gzip ? MAX_WBITS + kGzipOnly : MAX_WBITS, -MAX_WBITS};
  uint8_t* bytes = NULL;
  for (int i = 0; i < (gzip ? 1 : kTries) && !bytes; ++i) {
    z_stream stream = {.next_in = (Bytef*)packed,
                       .avail_in = (uInt)packed_length};
    *fault = kNoMemory;
    if (inflateInit2(&stream, windows[i]) != Z_OK)
      return NULL;
    bytes = Run(&stream, gzip, most, length, fault);
    inflateEnd(&stream);
    if (!bytes && *fault != kDamaged)
      return NULL;
  }
  return bytes;
}
