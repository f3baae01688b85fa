// When garbage is collected: a collection writes to every object, and so makes
// every page of a clone its own. Small functions should never see one.
#pragma once

#include "quickjs.h"

// Has nothing collected until much more has been allocated than there is now.
void AllowGarbage(JSRuntime* runtime);
