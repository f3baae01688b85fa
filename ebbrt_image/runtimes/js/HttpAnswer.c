#include "HttpAnswer.h"

#include <stdlib.h>
#include <string.h>

#include "llhttp.h"

enum {
  kSwitchingProtocols = 101,
  kFirstFinal = 200,
  kNoContent = 204,
  kNotModified = 304,
};

typedef struct {
  uint8_t* bytes;
  size_t length;
  size_t space;
} Text;

typedef struct {
  size_t name;  // where in the head
  size_t value;
} Field;

struct HttpAnswer {
  llhttp_t parser;
  AnswerState state;
  const char* fault;
  bool without_body;
  size_t head_bytes;  // of all heads
  Text head;          // the reason, then names and values, each with a zero
  Field fields[kMaxAnswerFields];
  int count;
  Text body;
};

static HttpAnswer* AnswerOf(llhttp_t* parser) {
  return parser->data;
}

static int Break(HttpAnswer* answer, const char* fault) {
  answer->fault = fault;
  return HPE_USER;
}

static int Append(HttpAnswer* answer, Text* text, const void* bytes,
                  size_t length) {
  if (length == 0)
    return HPE_OK;
  if (length > text->space - text->length) {
    size_t wanted = text->space ? 2 * text->space : 1024;
    while (wanted < text->length + length)
      wanted *= 2;
    uint8_t* larger = realloc(text->bytes, wanted);
    if (!larger)
      return Break(answer, "there is no memory for the answer");
    text->bytes = larger;
    text->space = wanted;
  }
  memcpy(text->bytes + text->length, bytes, length);
  text->length += length;
  return HPE_OK;
}

static int EndText(HttpAnswer* answer) {
  return Append(answer, &answer->head, "", 1);
}

// What comes behind the body is no part of the head: a server cannot say there
// what it did not say before.
static bool Trailing(const HttpAnswer* answer) {
  return answer->state != kAnswerBegun;
}

// A piece of the reason, a name or a value.
static int OnHead(llhttp_t* parser, const char* at, size_t length) {
  HttpAnswer* answer = AnswerOf(parser);
  answer->head_bytes += length;
  if (answer->head_bytes > kMaxAnswerHead)
    return Break(answer, "its head has more than 64 KiB");
  if (length > 0 && memchr(at, 0, length))
    return Break(answer, "its head has a zero byte");
  if (Trailing(answer))
    return HPE_OK;
  return Append(answer, &answer->head, at, length);
}

static int OnReasonEnd(llhttp_t* parser) {
  HttpAnswer* answer = AnswerOf(parser);
  int ended = EndText(answer);
  answer->fields[0].name = answer->head.length;
  return ended;
}

static int OnNameEnd(llhttp_t* parser) {
  HttpAnswer* answer = AnswerOf(parser);
  if (Trailing(answer))
    return HPE_OK;
  int ended = EndText(answer);
  answer->fields[answer->count].value = answer->head.length;
  return ended;
}

static int OnValueEnd(llhttp_t* parser) {
  HttpAnswer* answer = AnswerOf(parser);
  if (Trailing(answer))
    return HPE_OK;
  if (++answer->count == kMaxAnswerFields)
    return Break(answer, "its head has more than 255 fields");
  int ended = EndText(answer);
  answer->fields[answer->count].name = answer->head.length;
  return ended;
}

static bool Interim(const HttpAnswer* answer) {
  return answer->parser.status_code < kFirstFinal;
}

// Whatever its fields say.
static bool WithoutBody(const HttpAnswer* answer) {
  int status = answer->parser.status_code;
  return answer->without_body || status == kNoContent ||
         status == kNotModified || Interim(answer);
}

static int OnHeadEnd(llhttp_t* parser) {
  HttpAnswer* answer = AnswerOf(parser);
  if (parser->status_code == kSwitchingProtocols)
    return Break(answer, "it changes the protocol, which nobody asked for");
  if ((parser->flags & F_CONTENT_LENGTH) && !WithoutBody(answer) &&
      parser->content_length > kMaxAnswerBody)
    return Break(answer, "its body has more than 64 MiB");
  if (!Interim(answer))
    answer->state = kAnswerHasHead;
  return WithoutBody(answer) ? 1 : 0;
}

static int OnBody(llhttp_t* parser, const char* at, size_t length) {
  HttpAnswer* answer = AnswerOf(parser);
  if (length > kMaxAnswerBody - answer->body.length)
    return Break(answer, "its body has more than 64 MiB");
  return Append(answer, &answer->body, at, length);
}

static int OnMessageBegin(llhttp_t* parser) {
  HttpAnswer* answer = AnswerOf(parser);
  // Of an interim answer nothing is kept.
  answer->head.length = 0;
  answer->count = 0;
  // Many empty ones must not go on for ever either.
  if (++answer->head_bytes > kMaxAnswerHead)
    return Break(answer, "its head has more than 64 KiB");
  return HPE_OK;
}

static int OnMessageEnd(llhttp_t* parser) {
  HttpAnswer* answer = AnswerOf(parser);
  if (Interim(answer))
    return HPE_OK;
  answer->state = kAnswerComplete;
  return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = OnMessageBegin,
    .on_status = OnHead,
    .on_status_complete = OnReasonEnd,
    .on_header_field = OnHead,
    .on_header_field_complete = OnNameEnd,
    .on_header_value = OnHead,
    .on_header_value_complete = OnValueEnd,
    .on_headers_complete = OnHeadEnd,
    .on_body = OnBody,
    .on_message_complete = OnMessageEnd,
};

HttpAnswer* NewHttpAnswer(bool without_body) {
  HttpAnswer* answer = calloc(1, sizeof(*answer));
  if (!answer)
    return NULL;
  llhttp_init(&answer->parser, HTTP_RESPONSE, &settings);
  answer->parser.data = answer;
  answer->without_body = without_body;
  return answer;
}

void FreeHttpAnswer(HttpAnswer* answer) {
  if (!answer)
    return;
  free(answer->head.bytes);
  free(answer->body.bytes);
  free(answer);
}

AnswerState FeedHttpAnswer(HttpAnswer* answer, const uint8_t* bytes,
                           size_t length) {
  if (answer->state == kAnswerComplete || answer->state == kAnswerBroken)
    return answer->state;
  llhttp_errno_t error =
      length > 0 ? llhttp_execute(&answer->parser, (const char*)bytes, length)
                 : llhttp_finish(&answer->parser);
  if (answer->state == kAnswerComplete)
    return answer->state;
  if (error == HPE_OK && length > 0)
    return answer->state;
  answer->state = kAnswerBroken;
  if (!answer->fault && length == 0)
    answer->fault = "the server ended the connection before the answer's end";
  if (!answer->fault)
    answer->fault = llhttp_get_error_reason(&answer->parser);
  if (!answer->fault || !*answer->fault)
    answer->fault = llhttp_errno_name(error);
  return answer->state;
}

AnswerState HttpAnswerState(const HttpAnswer* answer) {
  return answer->state;
}

const char* HttpAnswerFault(const HttpAnswer* answer) {
  return answer->fault;
}

int HttpAnswerStatus(const HttpAnswer* answer) {
  return answer->parser.status_code;
}

const char* HttpAnswerReason(const HttpAnswer* answer) {
  return (const char*)answer->head.bytes;
}

int HttpAnswerFields(const HttpAnswer* answer) {
  return answer->count;
}

const char* HttpAnswerName(const HttpAnswer* answer, int field) {
  return (const char*)answer->head.bytes + answer->fields[field].name;
}

const char* HttpAnswerValue(const HttpAnswer* answer, int field) {
  return (const char*)answer->head.bytes + answer->fields[field].value;
}

uint8_t* TakeHttpAnswerBody(HttpAnswer* answer, size_t* length) {
  uint8_t* taken = answer->body.bytes;
  *length = answer->body.length;
  answer->body = (Text){0};
  return taken;
}
