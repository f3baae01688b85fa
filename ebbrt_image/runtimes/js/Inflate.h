// Bodies that a server has compressed. What they unpack to is bounded.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Unpacks `gzip`, or else `deflate` with or without zlib's head, into memory to
// be freed. NULL, and why as a clause in `fault`, if it is damaged or has more
// than `most` bytes.
uint8_t* Inflate(const uint8_t* packed, size_t packed_length, bool gzip,
                 size_t most, size_t* length, const char** fault);

#ifdef __cplusplus
}
#endif
