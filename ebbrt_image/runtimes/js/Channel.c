#include "Channel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

enum {
  kHeaderSize = 32,
  kCheckedSize = 28,
  kVersion = 1,
  kKeptPayload = 4096,
  kStreamLost = 71,
};

static const char kMagic[4] = {'S', 'E', 'U', 'S'};

typedef struct {
  char magic[4];
  uint8_t version;
  uint8_t flags;
  uint16_t type;
  uint64_t id;
  uint32_t context;
  uint32_t length;
  uint32_t limit_ms;
  uint32_t check;
} __attribute__((packed)) Header;

_Static_assert(sizeof(Header) == kHeaderSize, "the header has 32 bytes");

static const char* lost = "nothing is wrong with the stream";
// Small payloads stay in one place: a request then dirties the same pages.
static char kept[kKeptPayload + 1];
static char* large;

int StatusAtEnd(int got) {
  if (got == 0)
    return 0;
  fprintf(stderr, "seuss: the request stream is lost: %s\n", lost);
  return kStreamLost;
}

static uint32_t CheckOf(const Header* header) {
  return (uint32_t)crc32(0, (const Bytef*)header, kCheckedSize);
}

static int Lose(const char* why) {
  lost = why;
  return -1;
}

// Returns 1, 0 when the stream ended before the first byte, -1 when lost.
static int ReadWhole(int descriptor, char* to, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t got = read(descriptor, to + done, size - done);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return Lose(strerror(errno));
    if (got == 0)
      return done == 0 ? 0 : Lose("it ended inside a frame");
    done += (size_t)got;
  }
  return 1;
}

static const char* FaultOf(const Header* header) {
  if (memcmp(header->magic, kMagic, sizeof(kMagic)) != 0)
    return "a frame does not start with SEUS";
  if (header->check != CheckOf(header))
    return "a header's checksum is wrong";
  if (header->version != kVersion)
    return "a frame is of another version";
  if (header->flags != 0)
    return "a frame has flags, and none are known";
  if (header->length > kMaxPayload)
    return "a frame announces more than 8 MiB";
  return NULL;
}

int ReceiveFrame(int descriptor, Frame* frame) {
  free(large);
  large = NULL;
  Header header;
  int got = ReadWhole(descriptor, (char*)&header, sizeof(header));
  if (got <= 0)
    return got;
  const char* fault = FaultOf(&header);
  if (fault)
    return Lose(fault);
  char* payload = kept;
  if (header.length > kKeptPayload) {
    payload = large = malloc((size_t)header.length + 1);
    if (!large)
      return Lose("no memory is left for a payload");
  }
  if (header.length > 0 && ReadWhole(descriptor, payload, header.length) <= 0)
    return Lose("it ended inside a frame");
  payload[header.length] = 0;
  *frame = (Frame){header.type, header.id, payload, header.length};
  return 1;
}

int SendFrame(int descriptor, uint16_t type, uint64_t id, const char* payload,
              size_t length) {
  Header header = {
      .version = kVersion, .type = type, .id = id, .length = (uint32_t)length};
  memcpy(header.magic, kMagic, sizeof(kMagic));
  header.check = CheckOf(&header);
  // One call where the other end takes so much: in the guest it must be one.
  struct iovec parts[2] = {{&header, sizeof(header)}, {(void*)payload, length}};
  while (parts[0].iov_len + parts[1].iov_len > 0) {
    ssize_t sent = writev(descriptor, parts, 2);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0)
      return Lose(strerror(errno));
    for (int i = 0; i < 2; ++i) {
      size_t taken =
          (size_t)sent < parts[i].iov_len ? (size_t)sent : parts[i].iov_len;
      parts[i].iov_base = (char*)parts[i].iov_base + taken;
      parts[i].iov_len -= taken;
      sent -= (ssize_t)taken;
    }
  }
  return 0;
}
