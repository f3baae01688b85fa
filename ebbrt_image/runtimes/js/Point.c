#include "Point.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "Channel.h"
#include "Json.h"
#include "Memory.h"
#include "Realm.h"

enum { kCaptureCall = 500, kInACopy = 0 };  // our kernel's own call

static const char kCall[] = "snapshotPoint";

// Of the function that is loaded.
static struct {
  bool there;
  JSValue enter;
  JSValue leave;
  char* names;
} point;

// Of the request that runs.
static struct {
  int descriptor;
  uint64_t request;
  bool failed;
  Failure failure;
} passage;

// --- the way past the point ---

static JSValue Fail(JSContext* context, Failure failure) {
  if (passage.failed)
    free(FailureText(&passage.failure));
  passage.failed = true;
  passage.failure = failure;
  return JS_ThrowInternalError(context, "%s", failure.message);
}

// rest() -> the other arguments, after the capture.
static JSValue Rest(JSContext* context, JSValueConst self, int argc,
                    JSValueConst* argv) {
  (void)self;
  (void)argc;
  (void)argv;
  AllowGarbage(JS_GetRuntime(context));
  fflush(NULL);
  if (syscall(kCaptureCall) != kInACopy) {
    char* text = PointText(true);
    int sent = SendFrame(passage.descriptor, kPoint, passage.request, text,
                         strlen(text));
    free(text);
    if (sent < 0)
      _exit(StatusAtEnd(sent));
  }
  for (;;) {
    Frame frame;
    int got = ReceiveFrame(passage.descriptor, &frame);
    if (got <= 0)
      _exit(StatusAtEnd(got));
    if (frame.type == kSync && RenewBySync(context, &frame))
      continue;
    if (frame.type != kRest)
      return Fail(context, MakeFailure("bad-request",
                                       "frame type %#x came instead of REST",
                                       frame.type));
    passage.request = frame.id;
    Failure failure;
    JSValue rest = ObjectOfJson(context, frame.payload, frame.length,
                                "arguments", &failure);
    return JS_IsUndefined(rest) ? Fail(context, failure) : rest;
  }
}

Entry EnterPassage(JSContext* context, int descriptor, uint64_t request,
                   JSValueConst told, bool begun, JSValue* arguments) {
  passage.descriptor = descriptor;
  passage.request = request;
  passage.failed = false;
  JSValueConst given[] = {told, JS_NewBool(context, begun)};
  *arguments = JS_Call(context, point.enter, JS_UNDEFINED, 2, given);
  return JS_IsException(*arguments) ? kNotEntered
         : JS_IsNull(*arguments)    ? kOtherNames
         : JS_IsBool(*arguments)    ? kOtherArguments
                                    : kEntered;
}

uint64_t LeavePassage(JSContext* context, bool* failed, Failure* failure) {
  JS_FreeValue(context, JS_Call(context, point.leave, JS_UNDEFINED, 0, NULL));
  *failed = passage.failed;
  *failure = passage.failure;
  passage.failed = false;
  return passage.request;
}

// --- the point of a function ---

bool HasPoint(void) {
  return point.there;
}

const char* PointNames(void) {
  return point.there ? point.names : "null";
}

char* PointText(bool reached) {
  char* text;
  if (asprintf(&text, "{\"names\":%s,\"reached\":%s}", PointNames(),
               reached ? "true" : "false") < 0)
    abort();
  return text;
}

void ForgetPoint(JSContext* context) {
  if (!point.there)
    return;
  point.there = false;
  JS_FreeValue(context, point.enter);
  JS_FreeValue(context, point.leave);
  free(point.names);
}

// Keeps the names that were found, and what passes their point.
static bool Remember(JSContext* context, JSValueConst library,
                     JSValueConst names) {
  JSValue json = JS_JSONStringify(context, names, JS_UNDEFINED, JS_UNDEFINED);
  const char* text = JS_IsException(json) ? NULL : JS_ToCString(context, json);
  JS_FreeValue(context, json);
  if (!text)
    return false;
  point.names = strdup(text);
  JS_FreeCString(context, text);
  if (!point.names)
    abort();
  point.enter = JS_GetPropertyStr(context, library, "enter");
  point.leave = JS_GetPropertyStr(context, library, "leave");
  point.there = true;
  return true;
}

// What `find` of the library says of the source, or an exception.
static JSValue Found(JSContext* context, JSValueConst library, const char* code,
                     size_t length, const char* file) {
  JSValue find = JS_GetPropertyStr(context, library, "find");
  JSValue texts[] = {JS_NewStringLen(context, code, length),
                     JS_NewString(context, file)};
  JSValue found = JS_Call(context, find, JS_UNDEFINED, 2, (JSValueConst*)texts);
  JS_FreeValue(context, texts[0]);
  JS_FreeValue(context, texts[1]);
  JS_FreeValue(context, find);
  return found;
}

bool FindPoint(JSContext* context, const char* code, size_t length,
               const char* file, Failure* failure) {
  if (!memmem(code, length, kCall, strlen(kCall)))
    return true;
  JSValue native = JS_NewObject(context);
  JS_SetPropertyStr(context, native, "rest",
                    JS_NewCFunction(context, Rest, "rest", 0));
  JSValue library = RunLibraryPart(context, "<seuss>/points.js", native);
  JSValue found = JS_IsException(library)
                      ? JS_EXCEPTION
                      : Found(context, library, code, length, file);
  bool good = true;
  if (JS_IsException(found) ||
      (JS_IsArray(found) && !Remember(context, library, found))) {
    // Too long or too deep a source for the search.
    *failure = FailureOfException(context, "syntax-error");
    good = false;
  } else if (JS_IsString(found)) {
    char* fault = Told(context, found);
    *failure = MakeFailure("syntax-error", "%s", fault);
    free(fault);
    good = false;
  }
  JS_FreeValue(context, found);
  JS_FreeValue(context, library);
  JS_FreeValue(context, native);
  return good;
}
