// Module `_seuss_channel`: frames (wire format v1) over a file descriptor.
// In C because it is on the path of every request: Python code here would
// touch some thirty more pages, which every snapshot would then have to carry.
// SYNC, which tells of a restore, is seen to here for the same reason.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#include "RenewalModule.h"

enum {
  kHeaderSize = 32,
  kCheckedSize = 28,
  kMaxPayload = 8 << 20,
  kVersion = 1,
  kSync = 0x01,
  kReadAhead = 4096,
  kCaptureCall = 500,  // our kernel's own
};

static const char kMagic[4] = {'S', 'E', 'U', 'S'};

typedef struct {
  char magic[4];
  uint8_t version;
  uint8_t flags;
  uint16_t type;
  uint64_t id;
  uint32_t context;
  uint32_t length;
  uint32_t time;
  uint32_t check;
} __attribute__((packed)) Header;

_Static_assert(sizeof(Header) == kHeaderSize, "the header has 32 bytes");

typedef struct {
  uint64_t wall;  // ns, for the kernel
  uint64_t generation;
  uint8_t seed[32];  // for the kernel
} __attribute__((packed)) Sync;

_Static_assert(sizeof(Sync) == 48, "a SYNC payload has 48 bytes");

typedef struct {
  PyObject_HEAD;
  int descriptor;
  size_t begin;  // what was read ahead lies in [begin, end)
  size_t end;
  char buffer[kReadAhead];
} Channel;

static PyObject* protocol_error;

static uint32_t CheckOf(const Header* header) {
  return (uint32_t)crc32(0, (const Bytef*)header, kCheckedSize);
}

// Returns the bytes read, 0 at the end of the stream, -1 with an exception.
static Py_ssize_t ReadSome(int descriptor, char* to, size_t size) {
  ssize_t got;
  do {
    Py_BEGIN_ALLOW_THREADS;
    got = read(descriptor, to, size);
    Py_END_ALLOW_THREADS;
  } while (got < 0 && errno == EINTR && PyErr_CheckSignals() == 0);
  if (got < 0 && !PyErr_Occurred())
    PyErr_SetFromErrno(PyExc_OSError);
  return got;
}

static int ReadWhole(int descriptor, char* to, size_t size) {
  while (size > 0) {
    Py_ssize_t got = ReadSome(descriptor, to, size);
    if (got < 0)
      return -1;
    if (got == 0) {
      PyErr_Format(protocol_error,
                   "the stream ended %zu bytes before the end of a frame",
                   size);
      return -1;
    }
    to += got;
    size -= (size_t)got;
  }
  return 0;
}

// Writes both parts, with one call where the other end takes so much: in the
// guest a frame must be one call.
static int WriteWhole(int descriptor, struct iovec parts[2]) {
  while (parts[0].iov_len + parts[1].iov_len > 0) {
    ssize_t sent;
    Py_BEGIN_ALLOW_THREADS;
    sent = writev(descriptor, parts, 2);
    Py_END_ALLOW_THREADS;
    if (sent < 0 && errno == EINTR && PyErr_CheckSignals() == 0)
      continue;
    if (sent < 0) {
      if (!PyErr_Occurred())
        PyErr_SetFromErrno(PyExc_OSError);
      return -1;
    }
    for (int i = 0; i < 2; ++i) {
      size_t taken =
          (size_t)sent < parts[i].iov_len ? (size_t)sent : parts[i].iov_len;
      parts[i].iov_base = (char*)parts[i].iov_base + taken;
      parts[i].iov_len -= taken;
      sent -= (ssize_t)taken;
    }
  }
  return 0;
}

// Gets a header's bytes into the buffer; 0 at the end of the stream.
static int FillHeader(Channel* self) {
  while (self->end - self->begin < kHeaderSize) {
    if (self->begin != 0) {
      memmove(self->buffer, self->buffer + self->begin,
              self->end - self->begin);
      self->end -= self->begin;
      self->begin = 0;
    }
    Py_ssize_t got = ReadSome(self->descriptor, self->buffer + self->end,
                              kReadAhead - self->end);
    if (got < 0)
      return -1;
    if (got == 0 && self->end == 0)
      return 0;
    if (got == 0) {
      PyErr_SetString(protocol_error, "the stream ended inside a header");
      return -1;
    }
    self->end += (size_t)got;
  }
  return 1;
}

static int CheckHeader(const Header* header) {
  if (memcmp(header->magic, kMagic, sizeof(kMagic)) != 0)
    PyErr_SetString(protocol_error, "a frame does not start with SEUS");
  else if (header->check != CheckOf(header))
    PyErr_Format(protocol_error, "a header's checksum is %x, %x is due",
                 header->check, CheckOf(header));
  else if (header->version != kVersion)
    PyErr_Format(protocol_error, "a frame is of version %d, not %d",
                 header->version, kVersion);
  else if (header->flags != 0)
    PyErr_Format(protocol_error, "a frame has flags %x, none are known",
                 header->flags);
  else if (header->length > kMaxPayload)
    PyErr_Format(protocol_error, "a frame announces %u bytes, %d are allowed",
                 header->length, kMaxPayload);
  else
    return 0;
  return -1;
}

// Gets the header of the next frame and takes it from the buffer; 0 at the end
// of the stream.
static int TakeHeader(Channel* self, Header* header) {
  int filled = FillHeader(self);
  if (filled <= 0)
    return filled;
  memcpy(header, self->buffer + self->begin, sizeof(*header));
  if (CheckHeader(header) < 0)
    return -1;
  self->begin += kHeaderSize;
  return 1;
}

static int TakePayload(Channel* self, char* to, size_t size) {
  size_t ahead = self->end - self->begin;
  if (ahead > size)
    ahead = size;
  memcpy(to, self->buffer + self->begin, ahead);
  self->begin += ahead;
  if (self->begin == self->end)
    self->begin = self->end = 0;
  return ReadWhole(self->descriptor, to + ahead, size - ahead);
}

static PyObject* MakeFrame(const Header* header, PyObject* payload) {
  return Py_BuildValue("HKN", header->type, (unsigned long long)header->id,
                       payload);
}

// Does what SYNC asks for: 1 if Python is to hear of it too.
static int TakeSync(Channel* self, Sync* sync) {
  if (TakePayload(self, (char*)sync, sizeof(*sync)) < 0)
    return -1;
  return RenewClone(sync->generation);
}

PyDoc_STRVAR(
    receive_doc,
    "receive() -> (type, id, payload), or None at the stream's end.\n"
    "\n"
    "With SYNC the clone is renewed; it is returned only if there are\n"
    "callbacks, or if its payload has a wrong size.\n"
    "Raises ProtocolError on bytes that are no frame.");

static PyObject* Receive(Channel* self, PyObject* unused) {
  (void)unused;
  Header header;
  int taken;
  while ((taken = TakeHeader(self, &header)) > 0 && header.type == kSync &&
         header.length == sizeof(Sync)) {
    Sync sync;
    int wanted = TakeSync(self, &sync);
    if (wanted < 0)
      return NULL;
    if (wanted)
      return MakeFrame(&header,
                       PyBytes_FromStringAndSize((char*)&sync, sizeof(sync)));
  }
  if (taken < 0)
    return NULL;
  if (taken == 0)
    Py_RETURN_NONE;
  PyObject* payload = PyBytes_FromStringAndSize(NULL, header.length);
  if (!payload)
    return NULL;
  if (TakePayload(self, PyBytes_AS_STRING(payload), header.length) < 0) {
    Py_DECREF(payload);
    return NULL;
  }
  return MakeFrame(&header, payload);
}

static int SendFrame(Channel* self, PyObject* const* arguments,
                     Py_ssize_t count) {
  if (count != 3) {
    PyErr_SetString(PyExc_TypeError, "a frame is type, id and payload");
    return -1;
  }
  unsigned long type = PyLong_AsUnsignedLong(arguments[0]);
  unsigned long long id = PyLong_AsUnsignedLongLong(arguments[1]);
  if (PyErr_Occurred())
    return -1;
  const char* payload;
  Py_ssize_t length;
  if (PyUnicode_Check(arguments[2])) {
    payload = PyUnicode_AsUTF8AndSize(arguments[2], &length);
    if (!payload)
      return -1;
  } else if (PyBytes_AsStringAndSize(arguments[2], (char**)&payload, &length) <
             0) {
    return -1;
  }
  Header header = {.version = kVersion,
                   .type = (uint16_t)type,
                   .id = id,
                   .length = (uint32_t)length};
  memcpy(header.magic, kMagic, sizeof(kMagic));
  header.check = CheckOf(&header);
  struct iovec parts[2] = {{&header, sizeof(header)},
                           {(void*)payload, (size_t)length}};
  return WriteWhole(self->descriptor, parts);
}

PyDoc_STRVAR(send_doc, "send(type, id, payload): payload is str or bytes.");

static PyObject* Send(Channel* self, PyObject* const* arguments,
                      Py_ssize_t count) {
  if (SendFrame(self, arguments, count) < 0)
    return NULL;
  Py_RETURN_NONE;
}

PyDoc_STRVAR(
    exchange_doc,
    "exchange(type, id, payload): send() and receive() in one.\n"
    "\n"
    "Whoever captures this context when the frame is out finds that it\n"
    "waits, with nothing left for its clones to run but the reading.");

static PyObject* Exchange(Channel* self, PyObject* const* arguments,
                          Py_ssize_t count) {
  return SendFrame(self, arguments, count) < 0 ? NULL : Receive(self, NULL);
}

static PyObject* New(PyTypeObject* type, PyObject* arguments, PyObject* names) {
  static char* keywords[] = {"descriptor", NULL};
  int descriptor;
  if (!PyArg_ParseTupleAndKeywords(arguments, names, "i", keywords,
                                   &descriptor))
    return NULL;
  Channel* self = (Channel*)type->tp_alloc(type, 0);
  if (self)
    self->descriptor = descriptor;
  return (PyObject*)self;
}

static PyMethodDef methods[] = {
    {"receive", (PyCFunction)Receive, METH_NOARGS, receive_doc},
    {"send", (PyCFunction)(void (*)(void))Send, METH_FASTCALL, send_doc},
    {"exchange", (PyCFunction)(void (*)(void))Exchange, METH_FASTCALL,
     exchange_doc},
    {NULL, NULL, 0, NULL}};

static PyTypeObject channel_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "_seuss_channel.Channel",
    .tp_basicsize = sizeof(Channel),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = PyDoc_STR("Channel(descriptor): frames over a byte stream."),
    .tp_methods = methods,
    .tp_new = New,
};

PyDoc_STRVAR(capture_doc,
             "capture() -> number of the snapshot that the kernel took of this "
             "context.\n"
             "\n"
             "0 in a copy, which goes on from here; -1 if none was taken.");

static PyObject* Capture(PyObject* module, PyObject* unused) {
  (void)module;
  (void)unused;
  return PyLong_FromLong(syscall(kCaptureCall));
}

static PyMethodDef functions[] = {
    {"capture", Capture, METH_NOARGS, capture_doc}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_seuss_channel",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__seuss_channel(void) {
  PyObject* module = PyModule_Create(&definition);
  if (!module)
    return NULL;
  protocol_error =
      PyErr_NewException("_seuss_channel.ProtocolError", NULL, NULL);
  if (!protocol_error ||
      PyModule_AddObjectRef(module, "ProtocolError", protocol_error) < 0 ||
      PyModule_AddType(module, &channel_type) < 0) {
    Py_DECREF(module);
    return NULL;
  }
  return module;
}
