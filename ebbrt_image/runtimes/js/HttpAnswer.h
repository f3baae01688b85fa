// What a server answers to one HTTP request, as its bytes come in. The server
// is hostile until llhttp and the limits here have seen it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  // Status lines and header fields, those before the final answer included.
  kMaxAnswerHead = 64 << 10,
  kMaxAnswerFields = 256,
  kMaxAnswerBody = 64 << 20,
};

typedef enum {
  kAnswerBegun,     // its head is not whole yet
  kAnswerHasHead,   // status and fields are there, the body is not whole yet
  kAnswerComplete,  // all is there
  kAnswerBroken,    // see HttpAnswerFault
} AnswerState;

typedef struct HttpAnswer HttpAnswer;

// `without_body`: the answer to HEAD. NULL without memory.
HttpAnswer* NewHttpAnswer(bool without_body);
void FreeHttpAnswer(HttpAnswer* answer);

// Takes in bytes of the stream; none mean that it has ended. What comes after
// the answer is not looked at.
AnswerState FeedHttpAnswer(HttpAnswer* answer, const uint8_t* bytes,
                           size_t length);

AnswerState HttpAnswerState(const HttpAnswer* answer);

// Why it is broken, as a clause.
const char* HttpAnswerFault(const HttpAnswer* answer);

// From kAnswerHasHead on. Texts end with a zero byte and have no other.
int HttpAnswerStatus(const HttpAnswer* answer);
const char* HttpAnswerReason(const HttpAnswer* answer);
int HttpAnswerFields(const HttpAnswer* answer);
const char* HttpAnswerName(const HttpAnswer* answer, int field);
const char* HttpAnswerValue(const HttpAnswer* answer, int field);

// Hands the body over, to be freed by the caller; NULL where it is empty.
uint8_t* TakeHttpAnswerBody(HttpAnswer* answer, size_t* length);

#ifdef __cplusplus
}
#endif
