// Ranges of array buffers, as natives are given them.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "quickjs.h"

// The bytes that (buffer, offset, length) in `argv` name. NULL with an
// exception if they lie outside the buffer.
uint8_t* RangeOf(JSContext* context, JSValueConst* argv, size_t* length);
