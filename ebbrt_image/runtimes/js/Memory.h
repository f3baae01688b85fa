// What of the heap a clone writes to, and so has to have as its own: a
// collection writes to every object, and blocks that were freed lie on pages
// all over the heap.
#pragma once

#include "quickjs.h"

// Has nothing collected until much more has been allocated than there is now.
void AllowGarbage(JSRuntime* runtime);

// Takes the gaps between blocks in use for good: what is allocated later lies
// side by side behind them, and dirties few pages.
void FillGaps(void);
