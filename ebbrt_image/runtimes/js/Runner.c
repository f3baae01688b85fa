#include "Runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "Channel.h"
#include "EventLoop.h"
#include "Failure.h"
#include "Loader.h"
#include "Realm.h"

enum { kStreamLost = 71, kSyncSize = 48, kRehearsals = 3, kGarbage = 8 << 20 };

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
  UnloadFunction();
  if (!runner->used)
    return;
  FreeRealm(runner->realm);
  JS_RunGC(runner->runtime);
  runner->realm = NewRealm(runner->runtime);
  runner->used = false;
}

// The payload as a JSON object; undefined with the failure.
static JSValue ObjectOf(Runner* runner, const Frame* frame, const char* what,
                        Failure* failure) {
  JSValue value =
      JS_ParseJSON(runner->realm, frame->payload, frame->length, "JSON");
  if (JS_IsException(value)) {
    Failure cause = FailureOfException(runner->realm, "bad-request");
    *failure = MakeFailure("bad-request", "the %s are no JSON: %s", what,
                           cause.message);
    free(FailureText(&cause));
    return JS_UNDEFINED;
  }
  if (JS_IsObject(value) && !JS_IsArray(value))
    return value;
  const char* kind = JS_IsArray(value)    ? "an array"
                     : JS_IsNull(value)   ? "null"
                     : JS_IsString(value) ? "a string"
                     : JS_IsBool(value)   ? "a boolean"
                                          : "a number";
  *failure = MakeFailure("bad-request", "the %s are %s of JSON, not an object",
                         what, kind);
  JS_FreeValue(runner->realm, value);
  return JS_UNDEFINED;
}

static bool Load(Runner* runner, const Frame* frame, Failure* failure) {
  Unload(runner);
  JSValue request = ObjectOf(runner, frame, "LOAD request's contents", failure);
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

static int Invoke(Runner* runner, const Frame* frame) {
  JSContext* context = runner->realm;
  Failure failure;
  if (JS_IsUndefined(runner->entry)) {
    failure =
        MakeFailure("bad-request", "no function is loaded: LOAD one first");
    return SendFailure(runner, frame->id, &failure);
  }
  JSValue arguments = ObjectOf(runner, frame, "arguments", &failure);
  if (JS_IsUndefined(arguments))
    return SendFailure(runner, frame->id, &failure);
  JSValue result = JS_Call(context, runner->entry, JS_UNDEFINED, 1,
                           (JSValueConst*)&arguments);
  JS_FreeValue(context, arguments);
  if (JS_IsException(result)) {
    failure = FailureOfException(context, "exception");
    RunReadyJobs(context);
    return SendFailure(runner, frame->id, &failure);
  }
  result = Awaited(context, result, &failure);
  if (JS_IsException(result))
    return SendFailure(runner, frame->id, &failure);
  RunReadyJobs(context);
  size_t length;
  const char* text = ResultText(context, result, &length, &failure);
  if (!text)
    return SendFailure(runner, frame->id, &failure);
  int sent = SendFrame(runner->descriptor, kResult, frame->id, text, length);
  JS_FreeCString(context, text);
  return sent;
}

// --- before the base snapshot ---

// Runs the ways of a request once, so that what they need is in the snapshot.
static void Rehearse(Runner* runner) {
  static const char kFunction[] =
      "{\"name\":\"rehearsal\",\"main\":\"main\",\"format\":\"source\","
      "\"code\":\"function main(args) { if (args.fail) throw new "
      "Error('rehearsal'); const text = JSON.stringify({echo: args, list: [1, "
      "2.5, null, true, new Date(0)]}); return JSON.parse(text); }\"}";
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
      Frame frame = {kInvoke, 0, kArguments[j], strlen(kArguments[j])};
      JSValue arguments = ObjectOf(runner, &frame, "arguments", &failure);
      JSValue result = JS_Call(context, runner->entry, JS_UNDEFINED, 1,
                               (JSValueConst*)&arguments);
      JS_FreeValue(context, arguments);
      size_t length;
      const char* text = NULL;
      if (JS_IsException(result))
        failure = FailureOfException(context, "exception");
      else
        text = ResultText(context, result, &length, &failure);
      if (!text)
        free(FailureText(&failure));
      JS_FreeCString(context, text);
    }
    Unload(runner);
  }
}

static void Settle(Runner* runner) {
  JS_RunGC(runner->runtime);
  JSMemoryUsage usage;
  JS_ComputeMemoryUsage(runner->runtime, &usage);
  // A collection writes to every object: small functions should never see one.
  JS_SetGCThreshold(runner->runtime, (size_t)usage.malloc_size + kGarbage);
}

static void Renew(Runner* runner, const Frame* frame) {
  uint64_t generation;
  memcpy(&generation, frame->payload + 8, sizeof(generation));
  RenewRealm(runner->realm, generation);
}

static int Answer(Runner* runner, const Frame* frame) {
  Failure failure;
  switch (frame->type) {
  case kInvoke:
    return Invoke(runner, frame);
  case kSync:
    if (frame->length == kSyncSize) {
      Renew(runner, frame);
      return 0;
    }
    failure = MakeFailure("bad-request", "a SYNC payload has %d bytes, not %zu",
                          kSyncSize, frame->length);
    return SendFailure(runner, frame->id, &failure);
  case kLoad:
    if (Load(runner, frame, &failure))
      return SendText(runner, kLoaded, frame->id, "{}");
    return SendFailure(runner, frame->id, &failure);
  case kUnload:
    Unload(runner);
    return SendText(runner, kDone, frame->id, "{}");
  case kOptimise:
    Rehearse(runner);
    Settle(runner);
    return SendText(runner, kDone, frame->id, "{}");
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
      return 0;
    if (going > 0)
      going = Answer(&runner, &frame);
  }
  fprintf(stderr, "seuss: the request stream is lost: %s\n", LostStream());
  return kStreamLost;
}
