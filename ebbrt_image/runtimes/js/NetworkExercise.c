#include "NetworkExercise.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "EventLoop.h"
#include "Names.h"

enum { kBody = 16 << 10, kPiece = 4 << 10 };

// (place, size): it leaves no name behind, as it is an expression.
static const char kClient[] =
    "(async (place, size) => {\n"
    "  for (let turn = 0; turn < 4; ++turn) {\n"
    "    const body = 'x'.repeat(size);\n"
    "    const answer = await fetch(place, {method: 'POST', body});\n"
    "    if ((await answer.text()).length !== size)\n"
    "      throw new Error(`the loopback answered ${answer.status}`);\n"
    "  }\n"
    "})";

// The other end of the client's connections, in the same thread: it answers
// when a body has come, and leaves it to the client to close.
typedef struct {
  int listener;
  int connection;   // -1 between two requests
  size_t received;  // in this connection
  JSValue serve;    // called when the descriptor in turn has something
} Server;

static Server server;

static void Close(JSContext* context, int* descriptor) {
  if (*descriptor < 0)
    return;
  ForgetDescriptor(context, *descriptor);
  close(*descriptor);
  *descriptor = -1;
}

static void Answer(void) {
  static const char kHead[] = "HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n";
  char head[sizeof(kHead) + 16];
  int length = snprintf(head, sizeof(head), kHead, kBody);
  static const char kLetters[kPiece] = {[0 ... kPiece - 1] = 'x'};
  send(server.connection, head, (size_t)length, MSG_NOSIGNAL);
  for (int sent = 0; sent < kBody; sent += kPiece)
    send(server.connection, kLetters, kPiece, MSG_NOSIGNAL);
}

// Waits for a piece; false once the client has closed.
static bool Receive(void) {
  char piece[kPiece];
  ssize_t got = recv(server.connection, piece, sizeof(piece), 0);
  if (got <= 0)
    return false;
  size_t before = server.received;
  server.received += (size_t)got;
  if (before < kBody && server.received >= kBody)
    Answer();
  return true;
}

static JSValue OnEvent(JSContext* context, JSValueConst self, int argc,
                       JSValueConst* argv) {
  (void)self;
  (void)argc;
  (void)argv;
  if (server.connection < 0) {
    server.connection = accept(server.listener, NULL, NULL);
    server.received = 0;
  } else if (!Receive()) {
    Close(context, &server.connection);
  }
  int next = server.connection < 0 ? server.listener : server.connection;
  int watched = WatchDescriptor(context, next, POLLIN, server.serve);
  return watched < 0 ? JS_EXCEPTION : JS_UNDEFINED;
}

// Begins to listen; the port, or -1.
static int Listen(JSContext* context) {
  struct sockaddr_in place = {.sin_family = AF_INET,
                              .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(place);
  server = (Server){socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), -1, 0,
                    JS_NewCFunction(context, OnEvent, "serve", 0)};
  if (server.listener < 0 ||
      bind(server.listener, (struct sockaddr*)&place, size) < 0 ||
      listen(server.listener, 1) < 0 ||
      getsockname(server.listener, (struct sockaddr*)&place, &size) < 0)
    return -1;
  if (WatchDescriptor(context, server.listener, POLLIN, server.serve) < 0)
    return -1;
  return ntohs(place.sin_port);
}

static void EndServer(JSContext* context) {
  Close(context, &server.listener);
  // The client has closed, so this ends.
  while (server.connection >= 0 && Receive())
    ;
  Close(context, &server.connection);
  JS_FreeValue(context, server.serve);
  server.serve = JS_UNDEFINED;
}

// Has the client run to its end; false with an exception.
static bool RunClient(JSContext* context, int port) {
  char place[64];
  snprintf(place, sizeof(place), "http://127.0.0.1:%d/", port);
  JSValue client = JS_Eval(context, kClient, sizeof(kClient) - 1, "<seuss>",
                           JS_EVAL_TYPE_GLOBAL);
  JSValue arguments[] = {JS_NewString(context, place),
                         JS_NewInt32(context, kBody)};
  JSValue promise = JS_Call(context, client, JS_UNDEFINED, 2, arguments);
  JS_FreeValue(context, arguments[0]);
  JS_FreeValue(context, client);
  if (JS_IsException(promise))
    return false;
  bool good = RunUntilSettled(context, promise) &&
              JS_PromiseState(context, promise) == JS_PROMISE_FULFILLED;
  if (!good)
    JS_Throw(context, JS_PromiseResult(context, promise));
  JS_FreeValue(context, promise);
  return good;
}

bool ExerciseNetwork(JSContext* context, Failure* failure) {
  // Where there is no name server, as natively, having asked is all.
  uint32_t addresses[kMostAddresses];
  AddressesOf("localhost", addresses);
  int port = Listen(context);
  bool good = port >= 0 && RunClient(context, port);
  if (port < 0)
    *failure = MakeFailure("exception", "the loopback takes no connections");
  else if (!good)
    *failure = FailureOfException(context, "exception");
  EndServer(context);
  return good;
}
