#include "EventLoop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "Failure.h"

enum { kMaxArguments = 16 };

typedef struct {
  int64_t id;
  int64_t due_ns;
  int64_t period_ns;  // 0: once
  JSValue callback;
  int count;
  JSValue arguments[kMaxArguments];
} Timer;

typedef struct {
  int descriptor;
  short events;
  JSValue resolve;
} Watch;

static Timer* timers;
static int timer_count;
static int timer_space;
static int64_t last_id;
static Watch* watches;
static int watch_count;
static int watch_space;

static int64_t Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// Makes space for one more entry; -1 with an exception.
static int Reserve(JSContext* context, void** entries, int count, int* space,
                   size_t size) {
  if (count < *space)
    return 0;
  int wanted = *space ? 2 * *space : 16;
  void* larger = realloc(*entries, (size_t)wanted * size);
  if (!larger) {
    JS_ThrowOutOfMemory(context);
    return -1;
  }
  *entries = larger;
  *space = wanted;
  return 0;
}

static JSValue SetTimer(JSContext* context, JSValueConst self, int argc,
                        JSValueConst* argv, int repeats) {
  (void)self;
  if (argc < 1 || !JS_IsFunction(context, argv[0]))
    return JS_ThrowTypeError(context, "a timer needs a function to call");
  double delay_ms = 0;
  if (argc > 1 && JS_ToFloat64(context, &delay_ms, argv[1]) < 0)
    return JS_EXCEPTION;
  // As in browsers and Node.js: what is no delay, or too long a one, is 1 ms.
  if (!(delay_ms >= 1 && delay_ms <= INT_MAX))
    delay_ms = 1;
  if (Reserve(context, (void**)&timers, timer_count, &timer_space,
              sizeof(Timer)) < 0)
    return JS_EXCEPTION;
  int64_t delay_ns = (int64_t)(delay_ms * 1e6);
  Timer* timer = &timers[timer_count];
  *timer = (Timer){.id = last_id + 1,
                   .due_ns = Now() + delay_ns,
                   .period_ns = repeats ? delay_ns : 0,
                   .callback = JS_DupValue(context, argv[0])};
  for (int i = 2; i < argc && timer->count < kMaxArguments; ++i)
    timer->arguments[timer->count++] = JS_DupValue(context, argv[i]);
  ++last_id;
  ++timer_count;
  return JS_NewInt64(context, last_id);
}

// Takes a timer out of the table without freeing what it holds.
static Timer TakeTimer(int place) {
  Timer taken = timers[place];
  timers[place] = timers[--timer_count];
  return taken;
}

static void FreeTimer(JSContext* context, Timer* timer) {
  JS_FreeValue(context, timer->callback);
  for (int i = 0; i < timer->count; ++i)
    JS_FreeValue(context, timer->arguments[i]);
}

static JSValue ClearTimer(JSContext* context, JSValueConst self, int argc,
                          JSValueConst* argv) {
  (void)self;
  int64_t id = 0;
  if (argc < 1 || !JS_IsNumber(argv[0]) ||
      JS_ToInt64(context, &id, argv[0]) < 0)
    return JS_UNDEFINED;
  for (int i = 0; i < timer_count; ++i) {
    if (timers[i].id != id)
      continue;
    Timer timer = TakeTimer(i);
    FreeTimer(context, &timer);
    break;
  }
  return JS_UNDEFINED;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_MAGIC_DEF("setTimeout", 2, SetTimer, 0),
    JS_CFUNC_MAGIC_DEF("setInterval", 2, SetTimer, 1),
    JS_CFUNC_DEF("clearTimeout", 1, ClearTimer),
    JS_CFUNC_DEF("clearInterval", 1, ClearTimer),
};

int AddTimers(JSContext* context, JSValueConst global) {
  return JS_SetPropertyFunctionList(context, global, functions,
                                    sizeof(functions) / sizeof(functions[0]));
}

int WatchDescriptor(JSContext* context, int descriptor, short events,
                    JSValueConst resolve) {
  if (Reserve(context, (void**)&watches, watch_count, &watch_space,
              sizeof(Watch)) < 0)
    return -1;
  watches[watch_count++] =
      (Watch){descriptor, events, JS_DupValue(context, resolve)};
  return 0;
}

void ForgetDescriptor(JSContext* context, int descriptor) {
  for (int i = watch_count - 1; i >= 0; --i) {
    if (watches[i].descriptor != descriptor)
      continue;
    JS_FreeValue(context, watches[i].resolve);
    watches[i] = watches[--watch_count];
  }
}

// An exception that no code of the function can catch any more: to stderr.
static void ReportUncaught(JSContext* context) {
  Failure failure = FailureOfException(context, "exception");
  fprintf(stderr, "Uncaught %s\n",
          failure.traceback ? failure.traceback : failure.message);
  fflush(stderr);
  free(FailureText(&failure));
}

void RunReadyJobs(JSContext* context) {
  JSContext* owner;
  int ran;
  while ((ran = JS_ExecutePendingJob(JS_GetRuntime(context), &owner)) != 0) {
    if (ran < 0)
      ReportUncaught(owner);
  }
}

static int EarliestTimer(void) {
  int earliest = -1;
  for (int i = 0; i < timer_count; ++i) {
    if (earliest < 0 || timers[i].due_ns < timers[earliest].due_ns ||
        (timers[i].due_ns == timers[earliest].due_ns &&
         timers[i].id < timers[earliest].id))
      earliest = i;
  }
  return earliest;
}

static void Fire(JSContext* context, int place) {
  Timer timer = TakeTimer(place);
  if (timer.period_ns != 0) {
    // Back into the table first: the callback may clear it.
    Timer* again = &timers[timer_count++];
    *again = timer;
    again->due_ns = Now() + timer.period_ns;
    JS_DupValue(context, timer.callback);
    for (int i = 0; i < timer.count; ++i)
      JS_DupValue(context, timer.arguments[i]);
  }
  JSValue answer = JS_Call(context, timer.callback, JS_UNDEFINED, timer.count,
                           (JSValueConst*)timer.arguments);
  if (JS_IsException(answer))
    ReportUncaught(context);
  JS_FreeValue(context, answer);
  FreeTimer(context, &timer);
}

// Calls those whose descriptors have something, after at most `wait_ms`.
static void Poll(JSContext* context, int wait_ms) {
  int count = watch_count;
  struct pollfd* polled = calloc((size_t)count + 1, sizeof(*polled));
  if (!polled)
    abort();
  for (int i = 0; i < count; ++i)
    polled[i] = (struct pollfd){watches[i].descriptor, watches[i].events, 0};
  int ready = poll(polled, (nfds_t)count, wait_ms);
  // Backwards, so that taking one out moves only what has been seen.
  for (int i = count - 1; ready > 0 && i >= 0; --i) {
    if (polled[i].revents == 0)
      continue;
    Watch watch = watches[i];
    watches[i] = watches[--watch_count];
    JSValue events = JS_NewInt32(context, polled[i].revents);
    JSValue answer = JS_Call(context, watch.resolve, JS_UNDEFINED, 1,
                             (JSValueConst*)&events);
    if (JS_IsException(answer))
      ReportUncaught(context);
    JS_FreeValue(context, answer);
    JS_FreeValue(context, watch.resolve);
  }
  free(polled);
}

bool RunUntilSettled(JSContext* context, JSValueConst promise) {
  for (;;) {
    RunReadyJobs(context);
    if (JS_PromiseState(context, promise) != JS_PROMISE_PENDING)
      return true;
    int next = EarliestTimer();
    if (next < 0 && watch_count == 0)
      return false;
    int64_t wait_ns = next < 0 ? INT64_MAX : timers[next].due_ns - Now();
    if (wait_ns <= 0 && next >= 0) {
      Fire(context, next);
      continue;
    }
    int64_t wait_ms = next < 0 ? -1 : (wait_ns + 999999) / 1000000;
    Poll(context, wait_ms > INT_MAX ? INT_MAX : (int)wait_ms);
  }
}

void ForgetAwaited(JSContext* context) {
  while (timer_count > 0) {
    Timer timer = TakeTimer(timer_count - 1);
    FreeTimer(context, &timer);
  }
  while (watch_count > 0)
    JS_FreeValue(context, watches[--watch_count].resolve);
}
