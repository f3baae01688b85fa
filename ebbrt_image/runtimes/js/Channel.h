// Frames (wire format v1) over the descriptor that the kernel hands a context.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum FrameType {
  kSync = 0x01,
  kOptimise = 0x02,
  kLoad = 0x03,
  kInvoke = 0x04,
  kUnload = 0x05,
  kBegin = 0x08,
  kRest = 0x09,
  kReady = 0x81,
  kDone = 0x82,
  kLoaded = 0x83,
  kResult = 0x84,
  kError = 0x85,
  kPoint = 0x8f,
};

enum { kMaxPayload = 8 << 20 };

// The payload lies in memory of the channel until the next receive; a zero
// byte follows it.
typedef struct {
  uint16_t type;
  uint64_t id;
  const char* payload;
  size_t length;
} Frame;

// Gets the next frame: 1, or 0 at the stream's end, or -1 when the stream is
// lost.
int ReceiveFrame(int descriptor, Frame* frame);

// Sends one frame; -1 when the stream is lost.
int SendFrame(int descriptor, uint16_t type, uint64_t id, const char* payload,
              size_t length);

// The program's exit status after `ReceiveFrame` gave `got`, 0 or -1; tells on
// stderr why a stream is lost.
int StatusAtEnd(int got);
