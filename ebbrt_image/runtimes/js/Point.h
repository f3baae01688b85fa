// A function's snapshot point: found in its source, and passed by invocations.
//
// With BEGIN the guest has the named arguments only. At the point it is
// captured: by its own kernel, where that takes snapshots, or from outside
// while it waits. REST then brings the others, to the one that was captured as
// to every copy, which first hears of its new randomness by SYNC.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "Failure.h"
#include "quickjs.h"

// Looks for the point in source that compiles, before it runs; false with the
// failure where it has one whose names cannot be read.
bool FindPoint(JSContext* context, const char* code, size_t length,
               const char* file, Failure* failure);

bool HasPoint(void);

// The names as JSON; "null" without a point.
const char* PointNames(void);

void ForgetPoint(JSContext* context);

// POINT's payload; to be freed.
char* PointText(bool reached);

typedef enum { kEntered, kOtherNames, kOtherArguments, kNotEntered } Entry;

// Begins the passage of one request: `told` are all arguments or, `begun`, what
// BEGIN brings. Puts what main is to see into `arguments`.
Entry EnterPassage(JSContext* context, int descriptor, uint64_t request,
                   JSValueConst told, bool begun, JSValue* arguments);

// Ends it. Returns the request to be answered now: REST's, past the point.
// `failed` says that only `failure` can be the answer.
uint64_t LeavePassage(JSContext* context, bool* failed, Failure* failure);
