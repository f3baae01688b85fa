#include "OpenSslRestore.h"

// The linker gives OpenSSL's generators the first for the second (--wrap).
extern int __wrap_openssl_get_fork_id(void);
extern int __real_openssl_get_fork_id(void);

static unsigned restores;

int __wrap_openssl_get_fork_id(void) {
  return (int)((unsigned)__real_openssl_get_fork_id() + restores);
}

void OpenSslRestored(void) {
  restores++;
}
