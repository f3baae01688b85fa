// Lets OpenSSL take a restore for a fork.
//
// Each of OpenSSL's random generators compares the id of its process with that
// of its last draw, and seeds itself anew from the kernel if they differ. So
// clones of one snapshot share nothing, and one that draws nothing pays
// nothing.
#ifndef SEUSS_PYTHON_OPENSSL_RESTORE_H_
#define SEUSS_PYTHON_OPENSSL_RESTORE_H_

// OpenSSL's generators get new seeds before they draw again.
void OpenSslRestored(void);

#endif  // SEUSS_PYTHON_OPENSSL_RESTORE_H_
