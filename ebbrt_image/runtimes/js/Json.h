// JSON that comes in requests.
#pragma once

#include <stddef.h>

#include "Failure.h"
#include "quickjs.h"

// The text, with a zero byte behind it, as an object of JSON; undefined with
// the failure, whose message names `what` the text is.
JSValue ObjectOfJson(JSContext* context, const char* text, size_t length,
                     const char* what, Failure* failure);
