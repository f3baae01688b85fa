// The network part of anticipatory optimisation: a name, connections, buffers,
// used once before the base snapshot.
#pragma once

#include <stdbool.h>

#include "Failure.h"
#include "quickjs.h"

// Looks a name up and fetches over the loopback, both ways at length. Leaves
// no descriptor open and no global. False with the failure.
bool ExerciseNetwork(JSContext* context, Failure* failure);
