// The program of a JavaScript unikernel context: QuickJS and the runner. Runs
// on the library OS and on Linux.
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "Runner.h"

enum { kStream = 3 };

int main(void) {
  // One malloc arena: with one thread, more only cost address space.
  mallopt(M_ARENA_MAX, 1);
  signal(SIGPIPE, SIG_IGN);
  int status = Serve(kStream);
  fflush(NULL);
  _exit(status);
}
