// Renewal, for the channel that a restore is told through.
#ifndef SEUSS_PYTHON_RENEWAL_MODULE_H_
#define SEUSS_PYTHON_RENEWAL_MODULE_H_

#include <stdint.h>

// Makes this clone, number `generation`, unlike its siblings. Returns 1 if the
// function wants to be called back then, which is left to the caller; else 0;
// -1 with an exception.
int RenewClone(uint64_t generation);

#endif  // SEUSS_PYTHON_RENEWAL_MODULE_H_
