// Brings a function into a realm: a script, a module, or a zip of modules.
#pragma once

#include <stdbool.h>

#include "Failure.h"
#include "quickjs.h"

// Loads what the LOAD request (a JSON object) describes and puts the entry
// into `entry`; false with the failure.
bool LoadFunction(JSContext* context, JSValueConst request, JSValue* entry,
                  Failure* failure);

// Removes the files of a zip, and forgets the function's snapshot point.
void UnloadFunction(JSContext* context);

// Empties `module` and `exports`, so that the realm holds nothing of a function
// that left no other trace.
void ClearExports(JSContext* context);

// Lets modules import each other from the zip's folder.
void SetModuleLoader(JSRuntime* runtime);
