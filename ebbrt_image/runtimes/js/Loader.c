#include "Loader.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "EventLoop.h"
#include "Point.h"
#include "Realm.h"
#include "Zip.h"

static const char* const kEntryFiles[] = {"index.js", "index.mjs"};

// Where the zip's files lie; "" without a zip.
static char folder[PATH_MAX];

typedef struct {
  char* name;
  char* entry;
  char* format;
  char* code;
  size_t code_length;
} Request;

static char* TextOf(JSContext* context, JSValueConst request, const char* key,
                    size_t* length) {
  JSValue value = JS_GetPropertyStr(context, request, key);
  char* text = NULL;
  if (JS_IsString(value)) {
    size_t own;
    const char* letters = JS_ToCStringLen(context, &own, value);
    if (letters && (text = malloc(own + 1)) != NULL) {
      memcpy(text, letters, own + 1);
      *length = own;
    }
    JS_FreeCString(context, letters);
  }
  JS_FreeValue(context, value);
  return text;
}

static void FreeRequest(Request* request) {
  free(request->name);
  free(request->entry);
  free(request->format);
  free(request->code);
}

static bool ReadRequest(JSContext* context, JSValueConst object,
                        Request* request, Failure* failure) {
  size_t length;
  *request = (Request){
      .name = TextOf(context, object, "name", &length),
      .entry = TextOf(context, object, "main", &length),
      .format = TextOf(context, object, "format", &length),
  };
  request->code = TextOf(context, object, "code", &request->code_length);
  if (!request->entry)
    request->entry = strdup("main");
  if (request->name && request->entry && request->format && request->code)
    return true;
  *failure = MakeFailure(
      "bad-request", "a LOAD request needs texts: name, main, format, code");
  FreeRequest(request);
  return false;
}

void UnloadFunction(JSContext* context) {
  ForgetPoint(context);
  if (folder[0] != 0)
    RemoveTree(folder);
  folder[0] = 0;
}

// --- modules ---

static bool EndsWith(const char* text, const char* end) {
  size_t length = strlen(text);
  return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

// Modules come from the zip's folder only.
static JSModuleDef* LoadModule(JSContext* context, const char* name,
                               void* unused) {
  (void)unused;
  size_t length;
  char* text = NULL;
  if (folder[0] != 0 && strncmp(name, folder, strlen(folder)) == 0)
    text = ReadFile(name, &length);
  if (!text) {
    JS_ThrowReferenceError(context, "could not load module '%s': %s", name,
                           folder[0] ? "the zip has no such file"
                                     : "a single file imports nothing");
    return NULL;
  }
  if (EndsWith(name, ".json")) {
    // JSON is an expression of JavaScript.
    char* wrapped;
    if (asprintf(&wrapped, "export default %s;", text) < 0)
      abort();
    free(text);
    text = wrapped;
    length = strlen(text);
  }
  JSValue module = JS_Eval(context, text, length, name,
                           JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
  free(text);
  if (JS_IsException(module))
    return NULL;
  JSModuleDef* definition = JS_VALUE_GET_PTR(module);
  // The engine's table of modules holds it.
  JS_FreeValue(context, module);
  return definition;
}

void SetModuleLoader(JSRuntime* runtime) {
  JS_SetModuleLoaderFunc(runtime, NULL, LoadModule, NULL);
}

// --- the function's file ---

static bool IsSyntaxError(JSContext* context, JSValueConst error) {
  JSValue name = JS_GetPropertyStr(context, error, "name");
  const char* text = JS_ToCString(context, name);
  bool is = text && strcmp(text, "SyntaxError") == 0;
  JS_FreeCString(context, text);
  JS_FreeValue(context, name);
  return is;
}

// Compiles as a script, or as a module where it is none; undefined with the
// failure.
static JSValue Compile(JSContext* context, const char* code, size_t length,
                       const char* file, bool* module, Failure* failure) {
  *module = false;
  if (!EndsWith(file, ".mjs")) {
    JSValue script = JS_Eval(context, code, length, file,
                             JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_COMPILE_ONLY);
    if (!JS_IsException(script))
      return script;
  }
  JSValue as_script = JS_GetException(context);
  *module = true;
  JSValue compiled = JS_Eval(context, code, length, file,
                             JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
  if (JS_IsException(compiled)) {
    // What fails as both is judged as the one that it looks like.
    JSValue as_module = JS_GetException(context);
    bool means_module = JS_IsUninitialized(as_script) || JS_IsNull(as_script) ||
                        strstr(code, "import") || strstr(code, "export");
    JSValueConst error = means_module ? as_module : as_script;
    *failure = FailureOfValue(
        context,
        IsSyntaxError(context, error) ? "syntax-error" : "import-error", error);
    JS_FreeValue(context, as_module);
    compiled = JS_UNDEFINED;
  }
  JS_FreeValue(context, as_script);
  return compiled;
}

// Runs compiled code to its end; false with the failure.
static bool Run(JSContext* context, JSValue compiled, Failure* failure) {
  JSValue answer = JS_EvalFunction(context, compiled);
  bool good = !JS_IsException(answer);
  if (!good) {
    *failure = FailureOfException(context, "import-error");
  } else if (JS_IsPromise(answer)) {
    good = RunUntilSettled(context, answer) &&
           JS_PromiseState(context, answer) == JS_PROMISE_FULFILLED;
    if (!good && JS_PromiseState(context, answer) == JS_PROMISE_PENDING) {
      *failure =
          MakeFailure("import-error", "the module awaits what will never come");
    } else if (!good) {
      JSValue reason = JS_PromiseResult(context, answer);
      *failure = FailureOfValue(context, "import-error", reason);
      JS_FreeValue(context, reason);
    }
  } else {
    RunReadyJobs(context);
  }
  JS_FreeValue(context, answer);
  return good;
}

// Gives scripts `module.exports` and `exports`, as CommonJS has them.
static void AddExports(JSContext* context) {
  JSValue global = JS_GetGlobalObject(context);
  JSValue module = JS_NewObject(context);
  JSValue exports = JS_NewObject(context);
  JS_SetPropertyStr(context, global, "exports", JS_DupValue(context, exports));
  JS_SetPropertyStr(context, module, "exports", exports);
  JS_SetPropertyStr(context, global, "module", module);
  JS_FreeValue(context, global);
}

void ClearExports(JSContext* context) {
  JSValue global = JS_GetGlobalObject(context);
  JS_SetPropertyStr(context, global, "exports", JS_UNDEFINED);
  JS_SetPropertyStr(context, global, "module", JS_UNDEFINED);
  JS_FreeValue(context, global);
}

// The script's entry: what it exports by that name, or declares.
static JSValue EntryOfScript(JSContext* context, const char* entry) {
  JSValue global = JS_GetGlobalObject(context);
  JSValue module = JS_GetPropertyStr(context, global, "module");
  JSValue exports = JS_GetPropertyStr(context, module, "exports");
  JSValue found = JS_GetPropertyStr(context, exports, entry);
  JS_FreeValue(context, exports);
  JS_FreeValue(context, module);
  JS_FreeValue(context, global);
  if (!JS_IsUndefined(found))
    return found;
  JS_FreeValue(context, found);
  // `const main = ...` is no property of the global object.
  char* text;
  if (asprintf(&text, "typeof %s === 'undefined' ? undefined : %s", entry,
               entry) < 0)
    abort();
  found = JS_Eval(context, text, strlen(text), "<seuss>", JS_EVAL_TYPE_GLOBAL);
  free(text);
  return found;
}

static JSValue EntryOfModule(JSContext* context, JSModuleDef* module,
                             const char* entry) {
  JSValue exports = JS_GetModuleNamespace(context, module);
  JSValue found = JS_GetPropertyStr(context, exports, entry);
  if (JS_IsUndefined(found)) {
    found = JS_GetPropertyStr(context, exports, "default");
    if (JS_IsObject(found) && !JS_IsFunction(context, found)) {
      JSValue inner = JS_GetPropertyStr(context, found, entry);
      JS_FreeValue(context, found);
      found = inner;
    }
  }
  JS_FreeValue(context, exports);
  return found;
}

static Failure NoMain(JSContext* context, const char* file, const char* entry,
                      JSValueConst found, bool module) {
  if (!JS_IsUndefined(found)) {
    char* told = Told(context, found);
    Failure failure =
        MakeFailure("no-main", "%s: %s is no function: %s", file, entry, told);
    free(told);
    return failure;
  }
  if (module)
    return MakeFailure("no-main", "%s exports no function '%s'", file, entry);
  char* added = AddedFunctions(context);
  Failure failure =
      MakeFailure("no-main", "%s defines no function '%s'; it defines %s", file,
                  entry, added[0] ? added : "no function at all");
  free(added);
  return failure;
}

static bool LoadCode(JSContext* context, const char* code, size_t length,
                     const char* file, const char* entry, JSValue* found,
                     Failure* failure) {
  bool module;
  AddExports(context);
  JSValue compiled = Compile(context, code, length, file, &module, failure);
  if (JS_IsUndefined(compiled))
    return false;
  if (!FindPoint(context, code, length, file, failure)) {
    JS_FreeValue(context, compiled);
    return false;
  }
  JSModuleDef* definition = module ? JS_VALUE_GET_PTR(compiled) : NULL;
  if (!Run(context, compiled, failure))
    return false;
  JSValue value = module ? EntryOfModule(context, definition, entry)
                         : EntryOfScript(context, entry);
  if (JS_IsException(value)) {
    *failure = FailureOfException(context, "import-error");
    return false;
  }
  if (JS_IsFunction(context, value)) {
    *found = value;
    return true;
  }
  *failure = NoMain(context, file, entry, value, module);
  JS_FreeValue(context, value);
  return false;
}

static bool LoadZip(JSContext* context, const Request* request, JSValue* entry,
                    Failure* failure) {
  if (!UnpackZip(request->name, request->code, request->code_length, folder,
                 failure))
    return false;
  for (size_t i = 0; i < sizeof(kEntryFiles) / sizeof(kEntryFiles[0]); ++i) {
    char path[PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s/%s", folder, kEntryFiles[i]);
    size_t length;
    char* text = ReadFile(path, &length);
    if (!text)
      continue;
    bool good =
        LoadCode(context, text, length, path, request->entry, entry, failure);
    free(text);
    return good;
  }
  *failure = MakeFailure("no-main", "%s has no index.js at the top of the zip",
                         request->name);
  return false;
}

bool LoadFunction(JSContext* context, JSValueConst object, JSValue* entry,
                  Failure* failure) {
  Request request;
  if (!ReadRequest(context, object, &request, failure))
    return false;
  bool good = false;
  if (strcmp(request.format, "source") == 0) {
    char* file;
    const char* ending = EndsWith(request.name, ".js") ? "" : ".js";
    if (EndsWith(request.name, ".mjs"))
      ending = "";
    if (asprintf(&file, "%s%s", request.name, ending) < 0)
      abort();
    good = LoadCode(context, request.code, request.code_length, file,
                    request.entry, entry, failure);
    free(file);
  } else if (strcmp(request.format, "zip") == 0) {
    good = LoadZip(context, &request, entry, failure);
  } else {
    *failure = MakeFailure(
        "bad-request", "format is '%s', not 'source' or 'zip'", request.format);
  }
  FreeRequest(&request);
  if (!good)
    UnloadFunction(context);
  return good;
}
