// A realm: the globals that one function sees.
#pragma once

#include <stdbool.h>

#include "Channel.h"
#include "quickjs.h"

// A context with ECMAScript's globals and the platform's: console, timers,
// TextEncoder, URL, crypto, structuredClone, seuss. Ends the program when
// there is no memory for it.
JSContext* NewRealm(JSRuntime* runtime);

void FreeRealm(JSContext* context);

// Runs a part of the library that not every realm needs, with what it is to
// have of C; returns its answer.
JSValue RunLibraryPart(JSContext* context, const char* name,
                       JSValueConst native);

// Tells the realm that it runs in a clone: renews Math.random and calls what
// was given to seuss.onRestore; runs no job of a promise.
// False for a frame that is no good SYNC.
bool RenewBySync(JSContext* context, const Frame* frame);

// Names of functions among the globals that the function's code has added,
// as a text such as "a, b"; "" for none; to be freed.
char* AddedFunctions(JSContext* context);
