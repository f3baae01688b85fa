// How a request fails: a kind of the wire contract, a message, and the stack
// of the function's own frames.
#pragma once

#include "quickjs.h"

// Texts are owned; `kind` is a constant.
typedef struct {
  const char* kind;
  char* message;
  char* traceback;  // or NULL
} Failure;

Failure MakeFailure(const char* kind, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

// Tells of the exception that is pending in the context, and clears it.
Failure FailureOfException(JSContext* context, const char* kind);

// Tells of a value that was thrown; does not free it.
Failure FailureOfValue(JSContext* context, const char* kind,
                       JSValueConst value);

// The text of one value, for people: never NULL, never throws; to be freed.
char* Told(JSContext* context, JSValueConst value);

// The failure as the JSON of an ERROR frame; to be freed. Frees the failure.
char* FailureText(Failure* failure);
