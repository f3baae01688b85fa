// What a function waits for: jobs of promises, timers, descriptors.
#pragma once

#include <stdbool.h>

#include "quickjs.h"

// Adds setTimeout, setInterval, clearTimeout, clearInterval to the global.
int AddTimers(JSContext* context, JSValueConst global);

// Has `resolve` called once with the events when the descriptor has one.
int WatchDescriptor(JSContext* context, int descriptor, short events,
                    JSValueConst resolve);

// Calls nobody any more for the descriptor, which is about to be closed.
void ForgetDescriptor(JSContext* context, int descriptor);

// Runs jobs, timers and descriptors until the promise is settled. False when
// nothing is left that could settle it.
bool RunUntilSettled(JSContext* context, JSValueConst promise);

// Runs the jobs that are ready, and nothing that has to be waited for.
void RunReadyJobs(JSContext* context);

// Forgets timers and descriptors of the context.
void ForgetAwaited(JSContext* context);
