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
  struct Address address = {
      2, __builtin_bswap16((unsigned short)port), __builtin_bswap32(host), {0}};
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

struct Part {
  void* place;
  u64 size;
};

// struct msghdr, and behind it what struct mmsghdr has more.
struct Message {
  void* name;
  u32 name_size, padding;
  struct Part* parts;
  u64 part_count;
  void* control;
  u64 control_size;
  u32 flags, more_padding;
  u32 sent, most_padding;
};

enum { kPeek = 2, kTruncate = 0x20, kWaitAll = 0x100, kOutOfBand = 1 };

static void Fill(void) {
  for (u64 i = 0; i < sizeof(buffer); ++i)
    buffer[i] = (u8)(i / 251);
}

static void ExpectFilled(const u8* place, u64 from, u64 size) {
  for (u64 i = 0; i < size; ++i)
    EXPECT_TRUE(place[i] == (u8)((from + i) / 251));
}

// Messages of several parts: one datagram, or a piece of a stream.
static void Messages(void) {
  struct Address place = At(kLoopback, kPort), from;
  long one = CALL3(kSocket, 2, kDatagram, 0);
  long other = CALL3(kSocket, 2, kDatagram | kNonBlock, 0);
  EXPECT(CALL3(kBind, other, &place, 16), 0);
  Fill();
  u8* there = buffer + 9 * kPageSize;
  struct Part out[] = {{buffer + 100, 3}, {0, 0}, {buffer + 103, 9000}};
  struct Part in[] = {{there + 50, 5000}, {there, 40}, {there + 6000, 10000}};
  struct Message sent = {&place, 16, 0, out, 3, 0, 0, 0, 0, 0, 0};
  EXPECT(CALL3(kSendMessage, one, &sent, 0), 9003);
  struct Message got = {&from, sizeof(from), 0, in, 3, buffer,
                        64,    ~0u,          0, 0,  0};
  EXPECT(CALL3(kReceiveMessage, other, &got, 0), 9003);
  EXPECT(got.name_size, 16);
  EXPECT(from.host, place.host);
  EXPECT(got.control_size, 0);
  EXPECT(got.flags, 0);
  ExpectFilled(there + 50, 100, 5000);
  ExpectFilled(there, 5100, 40);
  ExpectFilled(there + 6000, 5140, 3963);
  EXPECT(CALL3(kReceiveMessage, other, &got, 0), kAgain);
  // Cut, and said so.
  EXPECT(CALL3(kSendMessage, one, &sent, 0), 9003);
  got.part_count = 1;
  got.name = 0;
  EXPECT(CALL3(kReceiveMessage, other, &got, kPeek), 5000);
  EXPECT(got.flags, kTruncate);
  EXPECT(CALL3(kReceiveMessage, other, &got, kTruncate), 9003);
  EXPECT(got.flags, kTruncate);
  // What is read or written in parts is one datagram, too.
  EXPECT(CALL3(kConnect, one, &place, 16), 0);
  EXPECT(CALL3(kWriteVector, one, out, 3), 9003);
  EXPECT(CALL3(kReadVector, other, in, 2), 5040);
  EXPECT(CALL3(kReadVector, other, in, 2), kAgain);
  // Several in one call, up to the first that cannot be.
  struct Message several[] = {sent, sent, sent};
  several[2].control_size = 1;
  EXPECT(CALL4(kSendMultiple, one, several, 3, 0), 2);
  EXPECT(several[0].sent, 9003);
  EXPECT(several[1].sent, 9003);
  EXPECT(CALL4(kSendMultiple, one, several + 2, 1, 0), kNotSupported);
  EXPECT(CALL4(kSendMultiple, one, several, 0, 0), 0);
  EXPECT(CALL3(kRead, other, there, 10000), 9003);
  EXPECT(CALL3(kRead, other, there, 10000), 9003);
  EXPECT(CALL3(kRead, other, there, 10000), kAgain);
  // Streams.
  int ends[2];
  EXPECT(CALL4(kSocketPair, 1, kStream, 0, ends), 0);
  sent.name = 0;
  got.part_count = 2;
  got.name = &from;
  got.name_size = 16;
  Fill();
  EXPECT(CALL3(kSendMessage, ends[0], &sent, 0), 9003);
  EXPECT(CALL3(kReceiveMessage, ends[1], &got, 0), 5040);
  EXPECT(got.name_size, 0);
  EXPECT(got.flags, 0);
  ExpectFilled(there + 50, 100, 5000);
  ExpectFilled(there, 5100, 40);
  // What is looked at lies across parts and pages, and stays.
  struct Part looks[] = {{there + 1, 3}, {there + kPageSize - 8, 3960}};
  struct Message look = {0, 0, 0, looks, 2, 0, 0, 0, 0, 0, 0};
  for (int i = 0; i < 2; ++i)
    EXPECT(CALL3(kReceiveMessage, ends[1], &look, kPeek), 3963);
  ExpectFilled(there + 1, 5140, 3);
  ExpectFilled(there + kPageSize - 8, 5143, 3960);
  EXPECT(Call(kReceiveFrom, (u64)ends[1], (u64)there, 0, kPeek, 0, 0), 0);
  EXPECT(Call(kReceiveFrom, (u64)ends[1], kBad[1], 10, kPeek, 0, 0),
         kBadAddress);
  // Waits for all, or the end.
  EXPECT(CALL3(kSendMessage, ends[0], &sent, 0), 9003);
  EXPECT(
      Call(kReceiveFrom, (u64)ends[1], (u64)there, 3963 + 9003, kWaitAll, 0, 0),
      3963 + 9003);
  EXPECT(CALL3(kSendMessage, ends[0], &sent, 0), 9003);
  EXPECT(CALL1(kClose, ends[0]), 0);
  EXPECT(Call(kReceiveFrom, (u64)ends[1], (u64)there, 10000, kWaitAll, 0, 0),
         9003);
  EXPECT(Call(kReceiveFrom, (u64)ends[1], (u64)there, 10000, kWaitAll, 0, 0),
         0);
  EXPECT(Call(kReceiveFrom, (u64)ends[1], (u64)there, 10000, kPeek, 0, 0), 0);
}

static void BadMessages(void) {
  struct Address place = At(kLoopback, kPort + 1);
  long socket = CALL3(kSocket, 2, kDatagram | kNonBlock, 0);
  EXPECT(CALL3(kBind, socket, &place, 16), 0);
  struct Part part = {buffer, 10};
  const struct Message good = {&place, 16, 0, &part, 1, 0, 0, 0, 0, 0, 0};
  struct Message message = good;
  int ends[2];
  EXPECT(CALL4(kSocketPair, 1, kStream, 0, ends), 0);
  EXPECT(CALL3(kSendMessage, 0x7fff, &message, 0), kBadDescriptor);
  EXPECT(CALL3(kSendMessage, 1, &message, 0), kNotSocket);
  EXPECT(CALL3(kReceiveMessage, 1, &message, 0), kNotSocket);
  EXPECT(CALL3(kSendMessage, ends[0], &message, 0), kIsConnected);
  EXPECT(CALL3(kSendMessage, socket, &message, kOutOfBand), kNotSupported);
  EXPECT(CALL3(kReceiveMessage, socket, &message, kOutOfBand), kInvalid);
  // Descriptors are not handed on.
  message.control = buffer;
  message.control_size = 20;
  EXPECT(CALL3(kSendMessage, socket, &message, 0), kNotSupported);
  message = good;
  message.name_size = 15;
  EXPECT(CALL3(kSendMessage, socket, &message, 0), kInvalid);
  message = good;
  message.part_count = 1025;
  EXPECT(CALL3(kSendMessage, socket, &message, 0), kMessageTooLong);
  EXPECT(CALL3(kReceiveMessage, socket, &message, 0), kMessageTooLong);
  message = good;
  part.size = 65508;
  EXPECT(CALL3(kSendMessage, socket, &message, 0), kMessageTooLong);
  part.size = ~0ul;
  EXPECT(CALL3(kSendMessage, socket, &message, 0), kInvalid);
  part.size = 10;
  for (int i = 0; i < kBadCount; ++i) {
    EXPECT(CALL3(kSendMessage, socket, kBad[i], 0), kBadAddress);
    EXPECT(CALL3(kReceiveMessage, socket, kBad[i], 0), kBadAddress);
    EXPECT(CALL4(kSendMultiple, socket, kBad[i], 1, 0), kBadAddress);
    message = good;
    message.parts = (struct Part*)kBad[i];
    EXPECT(CALL3(kSendMessage, socket, &message, 0), kBadAddress);
    EXPECT(CALL3(kReceiveMessage, socket, &message, 0), kBadAddress);
    message = good;
    message.name = (void*)kBad[i];
    EXPECT(CALL3(kSendMessage, socket, &message, 0), kBadAddress);
    message = good;
    part.place = (void*)kBad[i];
    EXPECT(CALL3(kSendMessage, socket, &message, 0), kBadAddress);
    part.place = buffer;
    // It is gone with the call that had no place for it.
    EXPECT(CALL3(kSendMessage, socket, &message, 0), 10);
    part.place = (void*)kBad[i];
    EXPECT(CALL3(kReceiveMessage, socket, &message, 0), kBadAddress);
    part.place = buffer;
  }
}

int Main(int count, char** arguments) {
  EXPECT_TRUE(count >= 2);
  if (Same(arguments[1], "inside"))
    Inside();
  if (Same(arguments[1], "nonsense"))
    Nonsense();
  if (Same(arguments[1], "messages")) {
    Messages();
    BadMessages();
  }
  if (Same(arguments[1], "hoard"))
    Hoard();
  return 0;
}
