// HTTP requests, one connection each, as `library/fetch.js` goes through them:
// a native object holds the socket and the answer, and closes with its last
// reference.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "Buffers.h"
#include "EventLoop.h"
#include "HttpAnswer.h"
#include "Inflate.h"
#include "Names.h"
#include "Natives.h"

enum { kPiece = 16 << 10, kMostPieces = 16 };

typedef struct {
  int descriptor;  // -1 once it is closed
  int lost;        // what sending failed with: a socket says it once; or 0
  HttpAnswer* answer;
} Exchange;

static JSClassID exchange_class;

static void Close(JSContext* context, Exchange* exchange) {
  if (exchange->descriptor < 0)
    return;
  ForgetDescriptor(context, exchange->descriptor);
  close(exchange->descriptor);
  exchange->descriptor = -1;
}

static void FinalizeExchange(JSRuntime* runtime, JSValueConst value) {
  (void)runtime;
  Exchange* exchange = JS_GetOpaque(value, exchange_class);
  if (!exchange)
    return;
  // Nobody waits for it: who does, holds it.
  if (exchange->descriptor >= 0)
    close(exchange->descriptor);
  FreeHttpAnswer(exchange->answer);
  free(exchange);
}

static const JSClassDef exchange_definition = {.class_name = "Exchange",
                                               .finalizer = FinalizeExchange};

static Exchange* ExchangeOf(JSContext* context, JSValueConst value) {
  return JS_GetOpaque2(context, value, exchange_class);
}

// The same that is open, or NULL with an exception.
static Exchange* OpenExchangeOf(JSContext* context, JSValueConst value) {
  Exchange* exchange = ExchangeOf(context, value);
  if (exchange && exchange->descriptor < 0) {
    JS_ThrowTypeError(context, "the connection is closed");
    return NULL;
  }
  return exchange;
}

static JSValue ThrowSystem(JSContext* context, int error) {
  if (error == EACCES || error == EPERM)
    return JS_ThrowTypeError(
        context, "the function may not reach that place; deploy or invoke it "
                 "with --network HOST:PORT");
  return JS_ThrowTypeError(context, "%s", strerror(error));
}

// Gives back the descriptors of responses that nobody has, if a cycle keeps
// them.
static void Collect(JSContext* context) {
  JS_RunGC(JS_GetRuntime(context));
}

// lookUp(host, whether to collect) -> its addresses, as numbers; undefined
// without a descriptor
static JSValue LookUp(JSContext* context, JSValueConst self, int argc,
                      JSValueConst* argv) {
  (void)self;
  (void)argc;
  uint32_t addresses[kMostAddresses];
  const char* host = JS_ToCString(context, argv[0]);
  if (!host)
    return JS_EXCEPTION;
  int count = AddressesOf(host, addresses);
  if (count < 0 && JS_ToBool(context, argv[1]) > 0) {
    Collect(context);
    count = AddressesOf(host, addresses);
  }
  JS_FreeCString(context, host);
  if (count < 0)
    return JS_UNDEFINED;
  JSValue list = JS_NewArray(context);
  for (int i = 0; i < count; ++i) {
    if (JS_SetPropertyUint32(context, list, (uint32_t)i,
                             JS_NewUint32(context, addresses[i])) < 0) {
      JS_FreeValue(context, list);
      return JS_EXCEPTION;
    }
  }
  return list;
}

static int Connect(uint32_t address, uint16_t port) {
  int made = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0)
    return -1;
  int on = 1;
  setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {address}};
  if (connect(made, (struct sockaddr*)&to, sizeof(to)) == 0 ||
      errno == EINPROGRESS)
    return made;
  int error = errno;
  close(made);
  errno = error;
  return -1;
}

// openExchange(address, port, without body, whether to collect) -> exchange
// that connects; undefined without a descriptor
static JSValue OpenExchange(JSContext* context, JSValueConst self, int argc,
                            JSValueConst* argv) {
  (void)self;
  (void)argc;
  uint32_t address;
  uint32_t port;
  if (JS_ToUint32(context, &address, argv[0]) < 0 ||
      JS_ToUint32(context, &port, argv[1]) < 0)
    return JS_EXCEPTION;
  int made = Connect(address, (uint16_t)port);
  if (made < 0 && errno == EMFILE && JS_ToBool(context, argv[3]) > 0) {
    Collect(context);
    made = Connect(address, (uint16_t)port);
  }
  if (made < 0 && errno == EMFILE)
    return JS_UNDEFINED;
  if (made < 0)
    return ThrowSystem(context, errno);
  Exchange* exchange = calloc(1, sizeof(*exchange));
  HttpAnswer* answer = NewHttpAnswer(JS_ToBool(context, argv[2]) > 0);
  JSValue object = JS_NewObjectClass(context, exchange_class);
  if (!exchange || !answer || JS_IsException(object)) {
    free(exchange);
    FreeHttpAnswer(answer);
    close(made);
    return JS_IsException(object) ? object : JS_ThrowOutOfMemory(context);
  }
  *exchange = (Exchange){made, 0, answer};
  JS_SetOpaque(object, exchange);
  return object;
}

// waitFor(exchange, to write, resolve): has it called when it may go on. Who
// writes has to hear as well: a server may wait for that.
static JSValue WaitFor(JSContext* context, JSValueConst self, int argc,
                       JSValueConst* argv) {
  (void)self;
  (void)argc;
  Exchange* exchange = OpenExchangeOf(context, argv[0]);
  if (!exchange)
    return JS_EXCEPTION;
  short events = POLLIN;
  if (JS_ToBool(context, argv[1]) > 0)
    events |= POLLOUT;
  if (WatchDescriptor(context, exchange->descriptor, events, argv[2]) < 0)
    return JS_EXCEPTION;
  return JS_UNDEFINED;
}

// finishConnect(exchange): throws if the connection failed.
static JSValue FinishConnect(JSContext* context, JSValueConst self, int argc,
                             JSValueConst* argv) {
  (void)self;
  (void)argc;
  Exchange* exchange = OpenExchangeOf(context, argv[0]);
  if (!exchange)
    return JS_EXCEPTION;
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(exchange->descriptor, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
    error = errno;
  return error == 0 ? JS_UNDEFINED : ThrowSystem(context, error);
}

// send(exchange, buffer, offset, length) -> how much went, 0 for not now, -1
// when the server takes no more: it may have answered before.
static JSValue Send(JSContext* context, JSValueConst self, int argc,
                    JSValueConst* argv) {
  (void)self;
  (void)argc;
  Exchange* exchange = OpenExchangeOf(context, argv[0]);
  if (!exchange)
    return JS_EXCEPTION;
  size_t length;
  uint8_t* bytes = RangeOf(context, argv + 1, &length);
  if (!bytes)
    return JS_EXCEPTION;
  ssize_t sent = send(exchange->descriptor, bytes, length, MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR))
    sent = 0;
  if (sent < 0 && errno != EPIPE)
    exchange->lost = errno;
  return JS_NewInt64(context, sent < 0 ? -1 : sent);
}

// receive(exchange) -> the answer's state (HttpAnswer.h) after what has come
static JSValue Receive(JSContext* context, JSValueConst self, int argc,
                       JSValueConst* argv) {
  (void)self;
  (void)argc;
  static uint8_t piece[kPiece];
  Exchange* exchange = OpenExchangeOf(context, argv[0]);
  if (!exchange)
    return JS_EXCEPTION;
  AnswerState state = kAnswerBegun;
  // Others have their turn after some pieces.
  for (int i = 0; i < kMostPieces; ++i) {
    ssize_t got = recv(exchange->descriptor, piece, sizeof(piece), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      state = HttpAnswerState(exchange->answer);
      break;
    }
    if (got < 0) {
      int error = errno;
      Close(context, exchange);
      return ThrowSystem(context, error);
    }
    state = FeedHttpAnswer(exchange->answer, piece, (size_t)got);
    if (got == 0 && state == kAnswerBroken && exchange->lost != 0) {
      Close(context, exchange);
      return ThrowSystem(context, exchange->lost);
    }
    if (state == kAnswerComplete || state == kAnswerBroken)
      break;
  }
  if (state == kAnswerComplete || state == kAnswerBroken)
    Close(context, exchange);
  if (state == kAnswerBroken)
    return JS_ThrowTypeError(context, "no good answer of HTTP: %s",
                             HttpAnswerFault(exchange->answer));
  return JS_NewInt32(context, state);
}

// A field's bytes as letters up to U+00FF.
static JSValue TextOf(JSContext* context, const char* bytes) {
  size_t length = strlen(bytes);
  char* text = malloc(2 * length + 1);
  if (!text)
    return JS_ThrowOutOfMemory(context);
  size_t end = 0;
  for (size_t i = 0; i < length; ++i) {
    uint8_t byte = (uint8_t)bytes[i];
    if (byte >= 0x80)
      text[end++] = (char)(0xc0 | byte >> 6);
    text[end++] = (char)(byte < 0x80 ? byte : 0x80 | (byte & 0x3f));
  }
  JSValue made = JS_NewStringLen(context, text, end);
  free(text);
  return made;
}

// answerHead(exchange) -> [status, reason, name, value, name, value, ...]
static JSValue AnswerHead(JSContext* context, JSValueConst self, int argc,
                          JSValueConst* argv) {
  (void)self;
  (void)argc;
  Exchange* exchange = ExchangeOf(context, argv[0]);
  if (!exchange)
    return JS_EXCEPTION;
  const HttpAnswer* answer = exchange->answer;
  JSValue list = JS_NewArray(context);
  uint32_t place = 0;
  int set = JS_SetPropertyUint32(
      context, list, place++, JS_NewInt32(context, HttpAnswerStatus(answer)));
  if (set >= 0)
    set = JS_SetPropertyUint32(context, list, place++,
                               TextOf(context, HttpAnswerReason(answer)));
  for (int i = 0; i < HttpAnswerFields(answer) && set >= 0; ++i) {
    set = JS_SetPropertyUint32(context, list, place++,
                               TextOf(context, HttpAnswerName(answer, i)));
    if (set >= 0)
      set = JS_SetPropertyUint32(context, list, place++,
                                 TextOf(context, HttpAnswerValue(answer, i)));
  }
  if (set >= 0)
    return list;
  JS_FreeValue(context, list);
  return JS_EXCEPTION;
}

static void FreeBody(JSRuntime* runtime, void* opaque, void* bytes) {
  (void)runtime;
  (void)opaque;
  free(bytes);
}

// takeBody(exchange) -> Uint8Array, once
static JSValue TakeBody(JSContext* context, JSValueConst self, int argc,
                        JSValueConst* argv) {
  (void)self;
  (void)argc;
  Exchange* exchange = ExchangeOf(context, argv[0]);
  if (!exchange)
    return JS_EXCEPTION;
  size_t length;
  uint8_t* bytes = TakeHttpAnswerBody(exchange->answer, &length);
  if (!bytes)
    return JS_NewUint8ArrayCopy(context, NULL, 0);
  return JS_NewUint8Array(context, bytes, length, FreeBody, NULL, false);
}

// unpacked(buffer, offset, length, whether gzip) -> Uint8Array
static JSValue Unpacked(JSContext* context, JSValueConst self, int argc,
                        JSValueConst* argv) {
  (void)self;
  (void)argc;
  size_t packed_length;
  uint8_t* packed = RangeOf(context, argv, &packed_length);
  if (!packed)
    return JS_EXCEPTION;
  size_t length;
  const char* fault;
  uint8_t* bytes =
      Inflate(packed, packed_length, JS_ToBool(context, argv[3]) > 0,
              kMaxAnswerBody, &length, &fault);
  if (!bytes)
    return JS_ThrowTypeError(context, "no good body: %s", fault);
  return JS_NewUint8Array(context, bytes, length, FreeBody, NULL, false);
}

// closeExchange(exchange): may be called again.
static JSValue CloseExchange(JSContext* context, JSValueConst self, int argc,
                             JSValueConst* argv) {
  (void)self;
  (void)argc;
  Exchange* exchange = ExchangeOf(context, argv[0]);
  if (!exchange)
    return JS_EXCEPTION;
  Close(context, exchange);
  return JS_UNDEFINED;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("lookUp", 2, LookUp),
    JS_CFUNC_DEF("openExchange", 4, OpenExchange),
    JS_CFUNC_DEF("waitFor", 3, WaitFor),
    JS_CFUNC_DEF("finishConnect", 1, FinishConnect),
    JS_CFUNC_DEF("send", 4, Send),
    JS_CFUNC_DEF("receive", 1, Receive),
    JS_CFUNC_DEF("answerHead", 1, AnswerHead),
    JS_CFUNC_DEF("takeBody", 1, TakeBody),
    JS_CFUNC_DEF("unpacked", 4, Unpacked),
    JS_CFUNC_DEF("closeExchange", 1, CloseExchange),
};

int AddNetworkNatives(JSContext* context, JSValueConst native) {
  JSRuntime* runtime = JS_GetRuntime(context);
  JS_NewClassID(runtime, &exchange_class);
  if (!JS_IsRegisteredClass(runtime, exchange_class) &&
      JS_NewClass(runtime, exchange_class, &exchange_definition) < 0)
    return -1;
  return JS_SetPropertyFunctionList(context, native, functions,
                                    sizeof(functions) / sizeof(functions[0]));
}
