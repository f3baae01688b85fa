#include "Buffers.h"

uint8_t* RangeOf(JSContext* context, JSValueConst* argv, size_t* length) {
  static uint8_t nothing[1];
  size_t size;
  uint64_t offset;
  uint64_t wanted;
  uint8_t* bytes = JS_GetArrayBuffer(context, &size, argv[0]);
  if (!bytes && size != 0)
    return NULL;
  if (JS_ToIndex(context, &offset, argv[1]) < 0 ||
      JS_ToIndex(context, &wanted, argv[2]) < 0)
    return NULL;
  if (offset > size || wanted > size - offset) {
    JS_ThrowRangeError(context, "the range lies outside the buffer");
    return NULL;
  }
  *length = (size_t)wanted;
  return bytes ? bytes + offset : nothing;
}
