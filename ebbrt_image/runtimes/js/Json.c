#include "Json.h"

#include <stdlib.h>

JSValue ObjectOfJson(JSContext* context, const char* text, size_t length,
                     const char* what, Failure* failure) {
  JSValue value = JS_ParseJSON(context, text, length, "JSON");
  if (JS_IsException(value)) {
    Failure cause = FailureOfException(context, "bad-request");
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
  JS_FreeValue(context, value);
  return JS_UNDEFINED;
}
