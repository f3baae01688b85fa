// Sockets inside the UC, used well and badly.
#include "Guest.h"

enum { kStream = 1, kDatagram = 2, kNonBlock = 0x800, kPort = 8080 };

struct Address {
  unsigned short family;
  unsigned short port;
  u32 host;
  u8 padding[8];
};

static u8 buffer[17 * kPageSize] __attribute__((aligned(4096)));

static struct Address At(u32 host, u32 port) {
  struct Address address = {2, __builtin_bswap16((unsigned short)port),
                            __builtin_bswap32(host), {0}};
  return address;
}

static const u32 kLoopback = 0x7f000001;
static const u64 kBad[] = {1, 0xfff, 0x7ffffffff000, 0xffff800000000000,
                           0xffffffffffffffff};
enum { kBadCount = sizeof(kBad) / sizeof(kBad[0]) };

static void Inside(void) {
  struct Address place = At(kLoopback, kPort), from;
  u32 size = sizeof(from);
  long listener = CALL3(kSocket, 2, kStream, 0);
  EXPECT(CALL3(kBind, listener, &place, 16), 0);
  EXPECT(CALL2(kListen, listener, 5), 0);
  long client = CALL3(kSocket, 2, kStream | kNonBlock, 6);
  EXPECT(CALL3(kConnect, client, &place, 16), 0);
  EXPECT(CALL3(kWrite, client, buffer, 5000), 5000);
  long server = CALL4(kAccept4, listener, &from, &size, kNonBlock);
  EXPECT_TRUE(server > client);
  EXPECT(size, 16);
  EXPECT(from.host, place.host);
  EXPECT(CALL3(kRead, server, buffer, sizeof(buffer)), 5000);
  EXPECT(CALL3(kRead, server, buffer, sizeof(buffer)), kAgain);
  EXPECT(CALL1(kClose, client), 0);
  EXPECT(CALL3(kRead, server, buffer, sizeof(buffer)), 0);
  // A datagram lies on several pages, and stays one.
  long one = CALL3(kSocket, 2, kDatagram, 0);
  long other = CALL3(kSocket, 2, kDatagram | kNonBlock, 17);
  EXPECT(CALL3(kBind, other, &place, 16), 0);
  for (u64 i = 0; i < sizeof(buffer); ++i)
    buffer[i] = (u8)(i / 251);
  EXPECT(Call(kSendTo, (u64)one, (u64)buffer + 100, 10000, 0, (u64)&place, 16),
         10000);
  EXPECT(Call(kSendTo, (u64)one, (u64)buffer, 65508, 0, (u64)&place, 16),
         kMessageTooLong);
  size = sizeof(from);
  u8* there = buffer + 5 * kPageSize + 50;
  EXPECT(Call(kReceiveFrom, (u64)other, (u64)there, 20000, 0, (u64)&from,
              (u64)&size),
         10000);
  for (u64 i = 0; i < 10000; ++i)
    EXPECT_TRUE(there[i] == (u8)((i + 100) / 251));
  EXPECT(CALL3(kRead, other, buffer, 100), kAgain);
  // Outwards there is nothing.
  struct Address outside = At(0x0a000202, 80);
  EXPECT(CALL3(kConnect, CALL3(kSocket, 2, kStream, 0), &outside, 16),
         kUnreachable);
  EXPECT(Call(kSendTo, (u64)one, (u64)buffer, 1, 0, (u64)&outside, 16),
         kUnreachable);
  EXPECT(CALL3(kBind, CALL3(kSocket, 2, kStream, 0), &outside, 16), -99);
}

static void Nonsense(void) {
  struct Address place = At(kLoopback, kPort), wrong = place;
  long listener = CALL3(kSocket, 2, kStream, 0);
  long datagrams = CALL3(kSocket, 2, kDatagram, 0);
  EXPECT(CALL3(kSocket, 2, kStream, 17), -93);
  EXPECT(CALL3(kSocket, 2, 3, 0), -94);
  EXPECT(CALL3(kSocket, 2, kStream | 0x100000, 0), kInvalid);
  EXPECT(CALL3(kSocket, 10, kStream, 0), kAddressFamily);
  EXPECT(CALL3(kBind, listener, &place, 15), kInvalid);
  EXPECT(CALL3(kBind, listener, &place, 16), 0);
  EXPECT(CALL3(kBind, CALL3(kSocket, 2, kStream, 0), &place, 16), kInUse);
  wrong.family = 1;
  EXPECT(CALL3(kConnect, datagrams, &wrong, 16), kAddressFamily);
  EXPECT(CALL3(kAccept, listener, 0, 0), kInvalid);
  EXPECT(CALL3(kAccept, datagrams, 0, 0), kNotSupported);
  EXPECT(CALL2(kListen, datagrams, 1), kNotSupported);
  EXPECT(CALL2(kListen, listener, (u64)-1), 0);
  EXPECT(CALL4(kAccept4, listener, 0, 0, 1), kInvalid);
  u32 size = 3;
  u64 value = 0;
  EXPECT(Call(kGetOption, (u64)listener, 1, 30, (u64)&value, (u64)&size, 0),
         kInvalid);
  // Time limits that nobody keeps are refused.
  EXPECT(Call(kSetOption, (u64)listener, 1, 20, (u64)&value, 16, 0),
         kNoProtocolOption);
  size = 0x80000000;
  EXPECT(CALL3(kSocketName, listener, &place, &size), kInvalid);
  for (int i = 0; i < kBadCount; ++i) {
    long client = CALL3(kSocket, 2, kStream, 0);
    EXPECT(CALL3(kConnect, client, kBad[i], 16), kBadAddress);
    EXPECT(CALL3(kConnect, client, &place, 16), 0);
    size = sizeof(place);
    EXPECT(CALL3(kPeerName, client, kBad[i], &size), kBadAddress);
    EXPECT(CALL3(kPeerName, client, &place, kBad[i]), kBadAddress);
    EXPECT(CALL3(kAccept, listener, &place, kBad[i]), kBadAddress);
    // Who was taken for that call is gone.
    EXPECT(CALL3(kRead, client, buffer, 1), 0);
    EXPECT(Call(kSendTo, (u64)datagrams, kBad[i], 10, 0, (u64)&place, 16),
           kBadAddress);
    EXPECT(Call(kSendTo, (u64)datagrams, (u64)buffer, 10, 0, kBad[i], 16),
           kBadAddress);
    EXPECT(CALL1(kClose, client), 0);
  }
}

// Keeps all it can get the kernel to keep.
static void Hoard(void) {
  struct Address place = At(kLoopback, kPort);
  long listener = CALL3(kSocket, 2, kStream, 0);
  EXPECT(CALL3(kBind, listener, &place, 16), 0);
  EXPECT(CALL2(kListen, listener, 5), 0);
  long answer = 0;
  // Connections that nobody accepts, each full.
  while (answer >= 0) {
    long client = CALL3(kSocket, 2, kStream | kNonBlock, 0);
    EXPECT_TRUE(client > 0);
    answer = CALL3(kConnect, client, &place, 16);
    if (answer == 0)
      answer = CALL3(kWrite, client, buffer, sizeof(buffer));
    CALL1(kClose, client);
  }
  EXPECT(answer, kNoMemory);
  EXPECT(CALL1(kClose, listener), 0);
  // There is room again; now for datagrams.
  answer = 0;
  for (u32 port = 1; answer >= 0; ++port) {
    place = At(kLoopback, port);
    long receiver = CALL3(kSocket, 2, kDatagram, 0);
    EXPECT_TRUE(receiver > 0);
    EXPECT(CALL3(kBind, receiver, &place, 16), 0);
    for (int i = 0; i < 3 && answer >= 0; ++i)
      answer =
          Call(kSendTo, (u64)receiver, (u64)buffer, 60000, 0, (u64)&place, 16);
  }
  EXPECT(answer, kNoMemory);
}

int Main(int count, char** arguments) {
  EXPECT_TRUE(count >= 2);
  if (Same(arguments[1], "inside"))
    Inside();
  if (Same(arguments[1], "nonsense"))
    Nonsense();
  if (Same(arguments[1], "hoard"))
    Hoard();
  return 0;
}
