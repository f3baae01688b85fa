#include "Realm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "EventLoop.h"
#include "Failure.h"
#include "Natives.h"

enum { kSyncSize = 48, kGenerationAt = 8 };

// A part of the library that is written in JavaScript: (native, global) => {}.
typedef struct {
  const char* name;
  const char* begin;
  const char* end;
} LibraryPart;

// The first `kLibraryCount` are for every realm, the others run when needed; an
// entry without a name ends the table.
extern const LibraryPart kLibrary[];
extern const int kLibraryCount;

// What a realm keeps for the runner, out of the function's sight.
typedef struct {
  JSValue restored;      // calls what was given to seuss.onRestore
  uint32_t own_globals;  // how many names there are without the function's
} RealmState;

static _Noreturn void FailToStart(JSContext* context, const char* step) {
  Failure failure = FailureOfException(context, "exception");
  fprintf(stderr, "seuss: JavaScript did not start: %s: %s\n", step,
          failure.traceback ? failure.traceback : failure.message);
  _exit(70);
}

static uint32_t CountGlobals(JSContext* context) {
  JSPropertyEnum* names;
  uint32_t count = 0;
  JSValue global = JS_GetGlobalObject(context);
  if (JS_GetOwnPropertyNames(context, &names, &count, global,
                             JS_GPN_STRING_MASK) == 0)
    JS_FreePropertyEnum(context, names, count);
  JS_FreeValue(context, global);
  return count;
}

static JSValue RunPart(JSContext* context, const LibraryPart* part,
                       JSValueConst native, JSValueConst global) {
  JSValue body =
      JS_Eval(context, part->begin, (size_t)(part->end - part->begin - 1),
              part->name, JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_STRICT);
  if (JS_IsException(body))
    return JS_EXCEPTION;
  JSValueConst arguments[] = {native, global};
  JSValue answer = JS_Call(context, body, JS_UNDEFINED, 2, arguments);
  JS_FreeValue(context, body);
  return answer;
}

JSValue RunLibraryPart(JSContext* context, const char* name,
                       JSValueConst native) {
  const LibraryPart* part = &kLibrary[kLibraryCount];
  while (part->name && strcmp(part->name, name) != 0)
    ++part;
  if (!part->name)
    return JS_ThrowInternalError(context, "the library has no %s", name);
  JSValue global = JS_GetGlobalObject(context);
  JSValue answer = RunPart(context, part, native, global);
  JS_FreeValue(context, global);
  return answer;
}

JSContext* NewRealm(JSRuntime* runtime) {
  JSContext* context = JS_NewContext(runtime);
  RealmState* state = calloc(1, sizeof(*state));
  if (!context || !state) {
    fputs("seuss: JavaScript did not start: no memory for a realm\n", stderr);
    _exit(70);
  }
  JS_SetContextOpaque(context, state);
  JSValue global = JS_GetGlobalObject(context);
  JSValue native = JS_NewObject(context);
  if (JS_AddPerformance(context) < 0 || AddTimers(context, global) < 0 ||
      AddNatives(context, native) < 0)
    FailToStart(context, "natives");
  for (int i = 0; i < kLibraryCount; ++i) {
    JSValue answer = RunPart(context, &kLibrary[i], native, global);
    if (JS_IsException(answer))
      FailToStart(context, kLibrary[i].name);
    JS_FreeValue(context, answer);
  }
  state->restored = JS_GetPropertyStr(context, native, "restored");
  JS_FreeValue(context, native);
  JS_FreeValue(context, global);
  state->own_globals = CountGlobals(context);
  return context;
}

void FreeRealm(JSContext* context) {
  RealmState* state = JS_GetContextOpaque(context);
  ForgetAwaited(context);
  JS_FreeValue(context, state->restored);
  free(state);
  JS_FreeContext(context);
}

bool RenewBySync(JSContext* context, const Frame* frame) {
  if (frame->length != kSyncSize)
    return false;
  uint64_t generation;
  memcpy(&generation, frame->payload + kGenerationAt, sizeof(generation));
  RealmState* state = JS_GetContextOpaque(context);
  JSValue number = JS_NewInt64(context, (int64_t)generation);
  JSValue answer = JS_Call(context, state->restored, JS_UNDEFINED, 1,
                           (JSValueConst*)&number);
  if (JS_IsException(answer)) {
    Failure failure = FailureOfException(context, "exception");
    fprintf(stderr, "seuss: onRestore: %s\n",
            failure.traceback ? failure.traceback : failure.message);
    fflush(stderr);
    free(FailureText(&failure));
  }
  JS_FreeValue(context, answer);
  return true;
}

char* AddedFunctions(JSContext* context) {
  RealmState* state = JS_GetContextOpaque(context);
  char* text = NULL;
  size_t length;
  FILE* to = open_memstream(&text, &length);
  if (!to)
    abort();
  JSValue global = JS_GetGlobalObject(context);
  JSPropertyEnum* names;
  uint32_t count;
  int told = 0;
  if (JS_GetOwnPropertyNames(context, &names, &count, global,
                             JS_GPN_STRING_MASK) == 0) {
    for (uint32_t i = state->own_globals; i < count && told < 20; ++i) {
      JSValue value = JS_GetProperty(context, global, names[i].atom);
      if (JS_IsFunction(context, value)) {
        const char* name = JS_AtomToCString(context, names[i].atom);
        fprintf(to, "%s%s", told++ ? ", " : "", name ? name : "?");
        JS_FreeCString(context, name);
      }
      JS_FreeValue(context, value);
    }
    JS_FreePropertyEnum(context, names, count);
  }
  JS_FreeValue(context, global);
  if (fclose(to) != 0)
    abort();
  return text;
}
