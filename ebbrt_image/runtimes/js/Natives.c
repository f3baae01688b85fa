#include "Natives.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "Buffers.h"

// write(descriptor, text): a whole line with one call.
static JSValue Write(JSContext* context, JSValueConst self, int argc,
                     JSValueConst* argv) {
  (void)self;
  (void)argc;
  int32_t descriptor;
  size_t length;
  if (JS_ToInt32(context, &descriptor, argv[0]) < 0)
    return JS_EXCEPTION;
  const char* text = JS_ToCStringLen(context, &length, argv[1]);
  if (!text)
    return JS_EXCEPTION;
  size_t done = 0;
  while (done < length) {
    ssize_t sent = write(descriptor, text + done, length - done);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0)
      break;  // a print must never fail
    done += (size_t)sent;
  }
  JS_FreeCString(context, text);
  return JS_UNDEFINED;
}

// encodeUtf8(text) -> Uint8Array
static JSValue EncodeUtf8(JSContext* context, JSValueConst self, int argc,
                          JSValueConst* argv) {
  (void)self;
  (void)argc;
  size_t length;
  const char* text = JS_ToCStringLen(context, &length, argv[0]);
  if (!text)
    return JS_EXCEPTION;
  JSValue bytes = JS_NewUint8ArrayCopy(context, (const uint8_t*)text, length);
  JS_FreeCString(context, text);
  return bytes;
}

// decodeUtf8(buffer, offset, length) -> text; what is no UTF-8 becomes U+FFFD.
static JSValue DecodeUtf8(JSContext* context, JSValueConst self, int argc,
                          JSValueConst* argv) {
  (void)self;
  (void)argc;
  size_t length;
  const uint8_t* bytes = RangeOf(context, argv, &length);
  if (!bytes)
    return JS_EXCEPTION;
  return JS_NewStringLen(context, (const char*)bytes, length);
}

static int FillWithRandom(uint8_t* to, size_t size) {
  while (size > 0) {
    ssize_t got = getrandom(to, size, 0);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return -1;
    to += got;
    size -= (size_t)got;
  }
  return 0;
}

// fillRandom(buffer, offset, length): from the kernel, so clones differ.
static JSValue FillRandom(JSContext* context, JSValueConst self, int argc,
                          JSValueConst* argv) {
  (void)self;
  (void)argc;
  size_t length;
  uint8_t* bytes = RangeOf(context, argv, &length);
  if (!bytes)
    return JS_EXCEPTION;
  if (FillWithRandom(bytes, length) < 0)
    return JS_ThrowInternalError(context, "no random bytes: %s",
                                 strerror(errno));
  return JS_UNDEFINED;
}

// Math.random's generator, xoshiro256+ (Blackman and Vigna): the engine's own
// cannot be seeded anew in a clone.
static uint64_t random_state[4];

static uint64_t Rotated(uint64_t value, int by) {
  return (value << by) | (value >> (64 - by));
}

static JSValue Random(JSContext* context, JSValueConst self, int argc,
                      JSValueConst* argv) {
  (void)self;
  (void)argc;
  (void)argv;
  uint64_t sum = random_state[0] + random_state[3];
  uint64_t shifted = random_state[1] << 17;
  random_state[2] ^= random_state[0];
  random_state[3] ^= random_state[1];
  random_state[1] ^= random_state[2];
  random_state[0] ^= random_state[3];
  random_state[2] ^= shifted;
  random_state[3] = Rotated(random_state[3], 45);
  return JS_NewFloat64(context, (double)(sum >> 11) * 0x1p-53);
}

// seedRandom(): anew from the kernel.
static JSValue SeedRandom(JSContext* context, JSValueConst self, int argc,
                          JSValueConst* argv) {
  (void)self;
  (void)argc;
  (void)argv;
  if (FillWithRandom((uint8_t*)random_state, sizeof(random_state)) < 0)
    return JS_ThrowInternalError(context, "no random bytes: %s",
                                 strerror(errno));
  random_state[0] |= 1;  // never all zero
  return JS_UNDEFINED;
}

// clone(value): by the engine's own serialisation; it throws on functions.
static JSValue Clone(JSContext* context, JSValueConst self, int argc,
                     JSValueConst* argv) {
  (void)self;
  (void)argc;
  size_t size;
  uint8_t* bytes =
      JS_WriteObject(context, &size, argv[0], JS_WRITE_OBJ_REFERENCE);
  if (!bytes)
    return JS_EXCEPTION;
  JSValue copy = JS_ReadObject(context, bytes, size, JS_READ_OBJ_REFERENCE);
  js_free(context, bytes);
  return copy;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("write", 2, Write),
    JS_CFUNC_DEF("encodeUtf8", 1, EncodeUtf8),
    JS_CFUNC_DEF("decodeUtf8", 3, DecodeUtf8),
    JS_CFUNC_DEF("fillRandom", 3, FillRandom),
    JS_CFUNC_DEF("random", 0, Random),
    JS_CFUNC_DEF("seedRandom", 0, SeedRandom),
    JS_CFUNC_DEF("clone", 1, Clone),
};

int AddNatives(JSContext* context, JSValueConst native) {
  if (JS_SetPropertyFunctionList(context, native, functions,
                                 sizeof(functions) / sizeof(functions[0])) < 0)
    return -1;
  if (AddUrlNatives(context, native) < 0)
    return -1;
  return AddNetworkNatives(context, native);
}
