#include "Failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMaxText = 32 << 10 };

static char* Copied(const char* text, size_t length) {
  char* copy = malloc(length + 1);
  if (!copy)
    abort();
  memcpy(copy, text, length);
  copy[length] = 0;
  return copy;
}

static size_t WithoutPartOfLetter(const char* text, size_t length) {
  while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
    --length;
  return length;
}

// Halves of surrogate pairs, which strings may hold, are no UTF-8.
static char* WithoutSurrogates(char* text) {
  for (char* at = text; (at = strchr(at, '\xed')) != NULL; ++at) {
    if ((unsigned char)at[1] >= 0xa0)
      memcpy(at, "\xef\xbf\xbd", 3);
  }
  return text;
}

// The text, with its middle left out where it is very long.
static char* Shortened(const char* text, size_t length) {
  if (length <= kMaxText)
    return WithoutSurrogates(Copied(text, length));
  size_t head = WithoutPartOfLetter(text, kMaxText / 2);
  size_t tail = WithoutPartOfLetter(text, length - kMaxText / 2);
  char* shorter;
  if (asprintf(&shorter, "%.*s\n... %zu bytes left out ...\n%s", (int)head,
               text, tail - head, text + tail) < 0)
    abort();
  return WithoutSurrogates(shorter);
}

Failure MakeFailure(const char* kind, const char* format, ...) {
  char* message;
  va_list arguments;
  va_start(arguments, format);
  int length = vasprintf(&message, format, arguments);
  va_end(arguments);
  if (length < 0)
    abort();
  Failure failure = {kind, Shortened(message, (size_t)length), NULL};
  free(message);
  return failure;
}

// The property as a text, or NULL where it is none or getting it throws.
static char* TextProperty(JSContext* context, JSValueConst object,
                          const char* name) {
  JSValue value = JS_GetPropertyStr(context, object, name);
  char* text = NULL;
  if (JS_IsException(value)) {
    JS_FreeValue(context, JS_GetException(context));
  } else if (JS_IsString(value)) {
    size_t length;
    const char* letters = JS_ToCStringLen(context, &length, value);
    if (letters)
      text = Shortened(letters, length);
    JS_FreeCString(context, letters);
  }
  JS_FreeValue(context, value);
  return text;
}

char* Told(JSContext* context, JSValueConst value) {
  size_t length;
  const char* letters = NULL;
  if (JS_IsSymbol(value))
    return Copied("a symbol", strlen("a symbol"));
  letters = JS_ToCStringLen(context, &length, value);
  if (!letters) {
    JS_FreeValue(context, JS_GetException(context));
    return Copied("a value that cannot be shown", 28);
  }
  char* text = Shortened(letters, length);
  JS_FreeCString(context, letters);
  return text;
}

// A stack without the runtime's own frames: "    at NAME (native)" lines at its
// end are the runner's.
static void HideOwnFrames(char* stack) {
  char* end = stack + strlen(stack);
  while (end > stack) {
    char* line = end;
    while (line > stack && line[-1] != '\n')
      --line;
    if (line != end && !strstr(line, "<seuss>"))
      break;
    *line = 0;
    end = line > stack ? line - 1 : stack;
    if (end > stack)
      *end = 0;
  }
}

static char* Joined(char* first, char* second) {
  char* joined;
  if (asprintf(&joined, "%s\n%s", first, second) < 0)
    abort();
  char* shorter = Shortened(joined, strlen(joined));
  free(joined);
  return shorter;
}

// "broken.js:2:10: " of a SyntaxError's only stack line, before its message.
static void PutPlaceFirst(Failure* failure, const char* stack,
                          const char* message) {
  const char* place = strstr(stack, "at ");
  if (!place)
    return;
  place += 3;
  size_t length = strcspn(place, "\n");
  char* text;
  if (asprintf(&text, "%.*s: %s", (int)length, place, message) < 0)
    abort();
  free(failure->message);
  failure->message = text;
}

Failure FailureOfValue(JSContext* context, const char* kind,
                       JSValueConst value) {
  Failure failure = {kind, Told(context, value), NULL};
  if (!JS_IsError(value))
    return failure;
  char* stack = TextProperty(context, value, "stack");
  if (!stack)
    return failure;
  if (strcmp(kind, "syntax-error") == 0) {
    char* message = TextProperty(context, value, "message");
    failure.traceback = Joined(failure.message, stack);
    PutPlaceFirst(&failure, stack, message ? message : "");
    free(message);
  } else {
    HideOwnFrames(stack);
    failure.traceback = Joined(failure.message, stack);
  }
  free(stack);
  return failure;
}

Failure FailureOfException(JSContext* context, const char* kind) {
  JSValue value = JS_GetException(context);
  Failure failure = FailureOfValue(context, kind, value);
  JS_FreeValue(context, value);
  return failure;
}

static void WriteQuoted(FILE* to, const char* text) {
  if (!text) {
    fputs("null", to);
    return;
  }
  fputc('"', to);
  for (; *text; ++text) {
    unsigned char letter = (unsigned char)*text;
    if (letter == '"' || letter == '\\')
      fprintf(to, "\\%c", letter);
    else if (letter < 0x20)
      fprintf(to, "\\u%04x", letter);
    else
      fputc(letter, to);
  }
  fputc('"', to);
}

char* FailureText(Failure* failure) {
  char* text = NULL;
  size_t length;
  FILE* to = open_memstream(&text, &length);
  if (!to)
    abort();
  fputs("{\"kind\":", to);
  WriteQuoted(to, failure->kind);
  fputs(",\"message\":", to);
  WriteQuoted(to, failure->message);
  fputs(",\"traceback\":", to);
  WriteQuoted(to, failure->traceback);
  fputc('}', to);
  if (fclose(to) != 0)
    abort();
  free(failure->message);
  free(failure->traceback);
  *failure = (Failure){0};
  return text;
}
