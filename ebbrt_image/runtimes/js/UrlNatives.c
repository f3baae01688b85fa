// URLs by ada, the parser that Node.js uses: a URL is parsed or changed in one
// call and handed over as its parts, so no native object has to be kept.
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "Natives.h"
#include "ada_c.h"

typedef struct {
  const char* name;
  ada_string (*get)(ada_url url);
  bool (*set)(ada_url url, const char* value, size_t length);
} Part;

static bool SetSearch(ada_url url, const char* value, size_t length) {
  ada_set_search(url, value, length);
  return true;
}

static bool SetHash(ada_url url, const char* value, size_t length) {
  ada_set_hash(url, value, length);
  return true;
}

static const Part parts[] = {
    {"href", ada_get_href, ada_set_href},
    {"protocol", ada_get_protocol, ada_set_protocol},
    {"username", ada_get_username, ada_set_username},
    {"password", ada_get_password, ada_set_password},
    {"host", ada_get_host, ada_set_host},
    {"hostname", ada_get_hostname, ada_set_hostname},
    {"port", ada_get_port, ada_set_port},
    {"pathname", ada_get_pathname, ada_set_pathname},
    {"search", ada_get_search, SetSearch},
    {"hash", ada_get_hash, SetHash},
};

enum { kParts = sizeof(parts) / sizeof(parts[0]) };

static JSValue TextOf(JSContext* context, ada_string text) {
  return JS_NewStringLen(context, text.length ? text.data : "", text.length);
}

// The same of a text that has to be freed.
static JSValue OwnedTextOf(JSContext* context, ada_owned_string text) {
  JSValue made = TextOf(context, (ada_string){text.data, text.length});
  ada_free_owned_string(text);
  return made;
}

// The parts as an object, or null for what is no URL. Frees the URL.
static JSValue PartsOf(JSContext* context, ada_url url) {
  if (!ada_is_valid(url)) {
    ada_free(url);
    return JS_NULL;
  }
  JSValue object = JS_NewObject(context);
  int failed = JS_SetPropertyStr(context, object, "origin",
                                 OwnedTextOf(context, ada_get_origin(url)));
  for (int i = 0; i < kParts && failed >= 0; ++i)
    failed = JS_SetPropertyStr(context, object, parts[i].name,
                               TextOf(context, parts[i].get(url)));
  ada_free(url);
  if (failed >= 0)
    return object;
  JS_FreeValue(context, object);
  return JS_EXCEPTION;
}

// parseUrl(text, base or undefined) -> parts or null
static JSValue ParseUrl(JSContext* context, JSValueConst self, int argc,
                        JSValueConst* argv) {
  (void)self;
  (void)argc;
  size_t length;
  const char* text = JS_ToCStringLen(context, &length, argv[0]);
  if (!text)
    return JS_EXCEPTION;
  ada_url url = NULL;
  if (JS_IsUndefined(argv[1])) {
    url = ada_parse(text, length);
  } else {
    size_t base_length;
    const char* base = JS_ToCStringLen(context, &base_length, argv[1]);
    if (base)
      url = ada_parse_with_base(text, length, base, base_length);
    JS_FreeCString(context, base);
  }
  JS_FreeCString(context, text);
  return url ? PartsOf(context, url) : JS_EXCEPTION;
}

// changeUrl(href, number of the part's name, value) -> parts; a value that
// cannot be leaves them as they are, but for href: null.
static JSValue ChangeUrl(JSContext* context, JSValueConst self, int argc,
                         JSValueConst* argv) {
  (void)self;
  (void)argc;
  const char* name = JS_ToCString(context, argv[1]);
  const Part* part = NULL;
  for (int i = 0; i < kParts && name; ++i) {
    if (strcmp(parts[i].name, name) == 0)
      part = &parts[i];
  }
  JS_FreeCString(context, name);
  if (!part)
    return JS_ThrowTypeError(context, "a URL has no such part");
  size_t length;
  size_t value_length;
  const char* href = JS_ToCStringLen(context, &length, argv[0]);
  const char* value = JS_ToCStringLen(context, &value_length, argv[2]);
  JSValue changed = JS_EXCEPTION;
  if (href && value) {
    ada_url url = ada_parse(href, length);
    bool taken = ada_is_valid(url) && part->set(url, value, value_length);
    if (taken || part->set != ada_set_href) {
      changed = PartsOf(context, url);
    } else {
      ada_free(url);
      changed = JS_NULL;
    }
  }
  JS_FreeCString(context, href);
  JS_FreeCString(context, value);
  return changed;
}

// parseParameters(text) -> [name, value, name, value, ...]
static JSValue ParseParameters(JSContext* context, JSValueConst self, int argc,
                               JSValueConst* argv) {
  (void)self;
  (void)argc;
  size_t length;
  const char* text = JS_ToCStringLen(context, &length, argv[0]);
  if (!text)
    return JS_EXCEPTION;
  ada_url_search_params params = ada_parse_search_params(text, length);
  JS_FreeCString(context, text);
  JSValue list = JS_NewArray(context);
  ada_url_search_params_entries_iter pairs =
      ada_search_params_get_entries(params);
  uint32_t place = 0;
  while (ada_search_params_entries_iter_has_next(pairs)) {
    ada_string_pair pair = ada_search_params_entries_iter_next(pairs);
    if (JS_SetPropertyUint32(context, list, place++,
                             TextOf(context, pair.key)) < 0 ||
        JS_SetPropertyUint32(context, list, place++,
                             TextOf(context, pair.value)) < 0) {
      JS_FreeValue(context, list);
      list = JS_EXCEPTION;
      break;
    }
  }
  ada_free_search_params_entries_iter(pairs);
  ada_free_search_params(params);
  return list;
}

// parametersText([name, value, ...]) -> text
static JSValue ParametersText(JSContext* context, JSValueConst self, int argc,
                              JSValueConst* argv) {
  (void)self;
  (void)argc;
  int64_t count;
  if (JS_GetLength(context, argv[0], &count) < 0)
    return JS_EXCEPTION;
  ada_url_search_params params = ada_parse_search_params("", 0);
  bool whole = true;
  for (int64_t i = 0; i + 1 < count && whole; i += 2) {
    JSValue name = JS_GetPropertyInt64(context, argv[0], i);
    JSValue value = JS_GetPropertyInt64(context, argv[0], i + 1);
    size_t name_length;
    size_t value_length;
    const char* name_text = JS_ToCStringLen(context, &name_length, name);
    const char* value_text = JS_ToCStringLen(context, &value_length, value);
    whole = name_text && value_text;
    if (whole)
      ada_search_params_append(params, name_text, name_length, value_text,
                               value_length);
    JS_FreeCString(context, name_text);
    JS_FreeCString(context, value_text);
    JS_FreeValue(context, name);
    JS_FreeValue(context, value);
  }
  JSValue text = JS_EXCEPTION;
  if (whole)
    text = OwnedTextOf(context, ada_search_params_to_string(params));
  ada_free_search_params(params);
  return text;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("parseUrl", 2, ParseUrl),
    JS_CFUNC_DEF("changeUrl", 3, ChangeUrl),
    JS_CFUNC_DEF("parseParameters", 1, ParseParameters),
    JS_CFUNC_DEF("parametersText", 1, ParametersText),
};

int AddUrlNatives(JSContext* context, JSValueConst native) {
  return JS_SetPropertyFunctionList(context, native, functions,
                                    sizeof(functions) / sizeof(functions[0]));
}
