// C modules beyond those in Debian's libpython3.11.a: of the standard library,
// and our own channel.
#ifndef SEUSS_PYTHON_EXTRA_MODULES_H_
#define SEUSS_PYTHON_EXTRA_MODULES_H_

#define SEUSS_EXTRA_MODULES(X)                                                 \
  X(_asyncio)                                                                  \
  X(_bz2)                                                                      \
  X(_codecs_cn)                                                                \
  X(_codecs_hk)                                                                \
  X(_codecs_iso2022)                                                           \
  X(_codecs_jp)                                                                \
  X(_codecs_kr)                                                                \
  X(_codecs_tw)                                                                \
  X(_contextvars)                                                              \
  X(_decimal)                                                                  \
  X(_hashlib)                                                                  \
  X(_json)                                                                     \
  X(_lsprof)                                                                   \
  X(_lzma)                                                                     \
  X(_multibytecodec)                                                           \
  X(_multiprocessing)                                                          \
  X(_posixshmem)                                                               \
  X(_queue)                                                                    \
  X(_seuss_channel)                                                            \
  X(_seuss_heap)                                                               \
  X(_seuss_renewal)                                                            \
  X(_ssl)                                                                      \
  X(_typing)                                                                   \
  X(_zoneinfo)                                                                 \
  X(audioop)                                                                   \
  X(mmap)                                                                      \
  X(resource)                                                                  \
  X(termios)

#endif
