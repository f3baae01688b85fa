// Module `_ssl` of CPython, without the headers of Bluetooth that Debian's
// configuration asks for.
#include <pyconfig.h>
#undef HAVE_BLUETOOTH_BLUETOOTH_H

#include "_ssl.c"
