#include "Runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "Channel.h"
#include "EventLoop.h"
#include "Failure.h"
#include "Json.h"
#include "Loader.h"
#include "Memory.h"
#include "NetworkExercise.h"
#include "Point.h"
#include "Realm.h"

enum { kRehearsals = 3 };

// UNLOAD's payload for a function that leaves its realm as it was.
static const char kTraceless[] = "{\"traceless\":true}";

typedef struct {
  int descriptor;
  JSRuntime* runtime;
  JSContext* realm;  // a fresh one while no function is loaded
  JSValue entry;     // undefined while no function is loaded
  bool used;         // the realm has seen a function's code
} Runner;

// --- answers ---

static int SendText(Runner* runner, uint16_t type, uint64_t id,
                    const char* text) {
  return SendFrame(runner->descriptor, type, id, text, strlen(text));
}

static int SendFailure(Runner* runner, uint64_t id, Failure* failure) {
  char* text = FailureText(failure);
  int sent = SendText(runner, kError, id, text);
  free(text);
  return sent;
}

static int Announce(Runner* runner) {
  struct utsname system;
  uname(&system);
  char* text;
  if (asprintf(&text,
               "{\"kernel\":\"%s %s\",\"runtime\":\"js\",\"version\":\"%s\"}",
               system.sysname, system.release, JS_GetVersion()) < 0)
    abort();
  int sent = SendText(runner, kReady, 0, text);
  free(text);
  return sent;
}

// --- functions ---

static void Unload(Runner* runner) {
  JS_FreeValue(runner->realm, runner->entry);
  runner->entry = JS_UNDEFINED;
  UnloadFunction(runner->realm);
  if (!runner->used)
    return;
  FreeRealm(runner->realm);
  JS_RunGC(runner->runtime);
  runner->realm = NewRealm(runner->runtime);
  runner->used = false;
}

// The same of a function that leaves its realm as it was: a new one would dirty
// a hundred pages.
static void UnloadTraceless(Runner* runner) {
  if (runner->used)
    ClearExports(runner->realm);
  runner->used = false;
  Unload(runner);
}

static bool Load(Runner* runner, const Frame* frame, Failure* failure) {
  Unload(runner);
  JSValue request = ObjectOfJson(runner->realm, frame->payload, frame->length,
                                 "LOAD request's contents", failure);
  if (JS_IsUndefined(request))
    return false;
  runner->used = true;
  bool good = LoadFunction(runner->realm, request, &runner->entry, failure);
  JS_FreeValue(runner->realm, request);
  if (!good)
    Unload(runner);
  return good;
}

// Takes over a value that may be a promise; an exception with the failure.
static JSValue Awaited(JSContext* context, JSValue value, Failure* failure) {
  if (!JS_IsPromise(value))
    return value;
  JSValue settled = JS_EXCEPTION;
  if (!RunUntilSettled(context, value)) {
    *failure = MakeFailure(
        "exception", "main's promise will never be settled: nothing is awaited "
                     "that could still come");
  } else if (JS_PromiseState(context, value) == JS_PROMISE_FULFILLED) {
    settled = JS_PromiseResult(context, value);
  } else {
    JSValue reason = JS_PromiseResult(context, value);
    *failure = FailureOfValue(context, "exception", reason);
    JS_FreeValue(context, reason);
  }
  JS_FreeValue(context, value);
  return settled;
}

// The result as JSON text; NULL with the failure. Takes over the value.
static const char* ResultText(JSContext* context, JSValue result,
                              size_t* length, Failure* failure) {
  const char* text = NULL;
  // As OpenWhisk has it: no result is an empty one.
  if (JS_IsUndefined(result))
    result = JS_NewObject(context);
  if (!JS_IsObject(result) || JS_IsArray(result) ||
      JS_IsFunction(context, result)) {
    char* told = Told(context, result);
    *failure = MakeFailure("bad-result", "main returned %s, not an object%s",
                           JS_IsArray(result)    ? "an array"
                           : JS_IsObject(result) ? "a function"
                           : JS_IsString(result) ? "a string"
                           : JS_IsBigInt(result) ? "a bigint"
                           : JS_IsSymbol(result) ? "a symbol"
                                                 : told,
                           " of JSON");
    free(told);
    JS_FreeValue(context, result);
    return NULL;
  }
  JSValue json = JS_JSONStringify(context, result, JS_UNDEFINED, JS_UNDEFINED);
  JS_FreeValue(context, result);
  if (JS_IsException(json)) {
    Failure cause = FailureOfException(context, "bad-result");
    *failure =
        MakeFailure("bad-result", "the result is no JSON: %s", cause.message);
    free(FailureText(&cause));
    return NULL;
  }
  if (JS_IsString(json))
    text = JS_ToCStringLen(context, length, json);
  JS_FreeValue(context, json);
  if (text && text[0] == '{' && *length <= kMaxPayload)
    return text;
  if (text && text[0] == '{')
    *failure = MakeFailure("result-too-large",
                           "the result is %zu bytes of JSON, %d are allowed",
                           *length, kMaxPayload);
  else
    *failure = MakeFailure("bad-result", "the result's toJSON gives no object");
  JS_FreeCString(context, text);
  return NULL;
}

// Calls main and waits for it; the result's JSON, or NULL with the failure.
static const char* Call(Runner* runner, JSValueConst arguments, size_t* length,
                        Failure* failure) {
  JSContext* context = runner->realm;
  JSValue result = JS_Call(context, runner->entry, JS_UNDEFINED, 1, &arguments);
  if (JS_IsException(result)) {
    *failure = FailureOfException(context, "exception");
    RunReadyJobs(context);
    return NULL;
  }
  result = Awaited(context, result, failure);
  if (JS_IsException(result))
    return NULL;
  RunReadyJobs(context);
  return ResultText(context, result, length, failure);
}

static int SendResult(Runner* runner, uint64_t id, const char* text,
                      size_t length, Failure* failure) {
  if (!text)
    return SendFailure(runner, id, failure);
  int sent = SendFrame(runner->descriptor, kResult, id, text, length);
  JS_FreeCString(runner->realm, text);
  return sent;
}

// That BEGIN has not got to a point: it had other names, or there is none.
static int SendNotReached(Runner* runner, uint64_t id) {
  char* text = PointText(false);
  int sent = SendText(runner, kPoint, id, text);
  free(text);
  return sent;
}

// Serves INVOKE or BEGIN of a function with a snapshot point.
static int Approach(Runner* runner, const Frame* frame, JSValueConst told) {
  JSContext* context = runner->realm;
  uint64_t id = frame->id;
  JSValue arguments;
  Failure failure;
  switch (EnterPassage(context, runner->descriptor, id, told,
                       frame->type == kBegin, &arguments)) {
  case kOtherNames:
    return SendNotReached(runner, id);
  case kOtherArguments:
    failure =
        MakeFailure("bad-request", "BEGIN takes the named arguments only");
    return SendFailure(runner, id, &failure);
  case kNotEntered:
    failure = FailureOfException(context, "exception");
    return SendFailure(runner, id, &failure);
  case kEntered:
    break;
  }
  size_t length = 0;
  const char* text = Call(runner, arguments, &length, &failure);
  JS_FreeValue(context, arguments);
  bool failed;
  Failure cause;
  id = LeavePassage(context, &failed, &cause);
  if (failed) {
    if (!text)
      free(FailureText(&failure));
    JS_FreeCString(context, text);
    return SendFailure(runner, id, &cause);
  }
  return SendResult(runner, id, text, length, &failure);
}

// INVOKE, or BEGIN.
static int Invoke(Runner* runner, const Frame* frame) {
  Failure failure;
  if (JS_IsUndefined(runner->entry)) {
    failure =
        MakeFailure("bad-request", "no function is loaded: LOAD one first");
    return SendFailure(runner, frame->id, &failure);
  }
  JSValue told = ObjectOfJson(runner->realm, frame->payload, frame->length,
                              "arguments", &failure);
  if (JS_IsUndefined(told))
    return SendFailure(runner, frame->id, &failure);
  uint64_t id = frame->id;
  int sent;
  if (HasPoint()) {
    sent = Approach(runner, frame, told);
  } else if (frame->type == kBegin) {
    sent = SendNotReached(runner, id);
  } else {
    size_t length = 0;
    const char* text = Call(runner, told, &length, &failure);
    sent = SendResult(runner, id, text, length, &failure);
  }
  JS_FreeValue(runner->realm, told);
  return sent;
}

// --- before the base snapshot ---

// Runs the ways of a request once, so that what they need is in the snapshot.
// The function leaves no trace in the realm, which is that of the base.
static void Rehearse(Runner* runner) {
  static const char kFunction[] =
      "{\"name\":\"rehearsal\",\"main\":\"main\",\"format\":\"source\","
      "\"code\":\"exports.main = (args) => { if (args.fail) throw new "
      "Error('rehearsal'); const text = JSON.stringify({echo: args, list: [1, "
      "2.5, null, true, new Date(0)]}); return JSON.parse(text); };\"}";
  static const char* const kArguments[] = {
      "{\"name\":\"rehearsal\",\"n\":1,\"list\":[1,2.5,\"x\",null]}",
      "{\"fail\":true}", "{}"};
  for (int i = 0; i < kRehearsals; ++i) {
    Failure failure;
    Frame load = {kLoad, 0, kFunction, sizeof(kFunction) - 1};
    if (!Load(runner, &load, &failure)) {
      free(FailureText(&failure));
      return;
    }
    for (size_t j = 0; j < sizeof(kArguments) / sizeof(kArguments[0]); ++j) {
      JSContext* context = runner->realm;
      JSValue arguments = ObjectOfJson(
          context, kArguments[j], strlen(kArguments[j]), "arguments", &failure);
      size_t length;
      const char* text = Call(runner, arguments, &length, &failure);
      JS_FreeValue(context, arguments);
      if (!text)
        free(FailureText(&failure));
      JS_FreeCString(context, text);
    }
    UnloadTraceless(runner);
  }
}

// Leaves a heap that functions write to as little as possible.
static void Settle(Runner* runner) {
  JS_RunGC(runner->runtime);
  AllowGarbage(runner->runtime);
}

// Anticipatory optimisation, of the network alone where the request says so.
static bool Optimise(Runner* runner, const Frame* frame, Failure* failure) {
  JSContext* context = runner->realm;
  JSValue request = ObjectOfJson(context, frame->payload, frame->length,
                                 "OPTIMISE request's contents", failure);
  if (JS_IsUndefined(request))
    return false;
  JSValue only = JS_GetPropertyStr(context, request, "only");
  const char* step = JS_ToCString(context, only);
  bool whole = !step || strcmp(step, "network") != 0;
  JS_FreeCString(context, step);
  JS_FreeValue(context, only);
  JS_FreeValue(context, request);
  if (!ExerciseNetwork(context, failure))
    return false;
  if (whole)
    Rehearse(runner);
  Settle(runner);
  FillGaps();
  return true;
}

static int SendLoaded(Runner* runner, uint64_t id) {
  if (!HasPoint())
    return SendText(runner, kLoaded, id, "{}");
  char* text;
  if (asprintf(&text, "{\"point\":%s}", PointNames()) < 0)
    abort();
  int sent = SendText(runner, kLoaded, id, text);
  free(text);
  return sent;
}

static int Answer(Runner* runner, const Frame* frame) {
  Failure failure;
  switch (frame->type) {
  case kInvoke:
  case kBegin:
    return Invoke(runner, frame);
  case kSync:
    if (RenewBySync(runner->realm, frame)) {
      RunReadyJobs(runner->realm);
      return 0;
    }
    failure = MakeFailure("bad-request", "a SYNC payload has 48 bytes, not %zu",
                          frame->length);
    return SendFailure(runner, frame->id, &failure);
  case kLoad:
    if (Load(runner, frame, &failure))
      return SendLoaded(runner, frame->id);
    return SendFailure(runner, frame->id, &failure);
  case kUnload:
    // The host says so of a function of its own.
    if (strcmp(frame->payload, kTraceless) == 0)
      UnloadTraceless(runner);
    else
      Unload(runner);
    return SendText(runner, kDone, frame->id, "{}");
  case kOptimise:
    if (Optimise(runner, frame, &failure))
      return SendText(runner, kDone, frame->id, "{}");
    return SendFailure(runner, frame->id, &failure);
  default:
    failure = MakeFailure("bad-request", "frame type %#x is not for a runner",
                          frame->type);
    return SendFailure(runner, frame->id, &failure);
  }
}

int Serve(int descriptor) {
  Runner runner = {.descriptor = descriptor, .entry = JS_UNDEFINED};
  runner.runtime = JS_NewRuntime();
  if (!runner.runtime) {
    fputs("seuss: JavaScript did not start: no memory\n", stderr);
    return 70;
  }
  SetModuleLoader(runner.runtime);
  runner.realm = NewRealm(runner.runtime);
  Settle(&runner);
  int going = Announce(&runner);
  while (going >= 0) {
    Frame frame;
    going = ReceiveFrame(descriptor, &frame);
    if (going == 0)
      break;
    if (going > 0)
      going = Answer(&runner, &frame);
  }
  return StatusAtEnd(going);
}
