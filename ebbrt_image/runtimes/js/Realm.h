// A realm: the globals that one function sees.
#pragma once

#include <stdint.h>

#include "quickjs.h"

// A context with ECMAScript's globals and the platform's: console, timers,
// TextEncoder, URL, crypto, structuredClone, seuss. Ends the program when
// there is no memory for it.
JSContext* NewRealm(JSRuntime* runtime);

void FreeRealm(JSContext* context);

// Tells the realm that it runs in a clone: renews Math.random and calls what
// was given to seuss.onRestore.
void RenewRealm(JSContext* context, uint64_t generation);

// Names of functions among the globals that the function's code has added,
// as a text such as "a, b"; "" for none; to be freed.
char* AddedFunctions(JSContext* context);
