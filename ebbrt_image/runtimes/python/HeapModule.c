// Module `_seuss_heap`: shapes the heap before a snapshot is taken of it.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

enum {
  kPoolSize = 16 << 10,  // pymalloc's pools and what they serve, CPython 3.11
  kPoolHeader = 48,
  kStep = 16,
  kLargest = 512,
  kMostFilled = 1 << 16,  // blocks of one size; a bound, not an expectation
};

PyDoc_STRVAR(
    fill_doc,
    "fill() -> bytes that were free in pools in use and are now taken.\n"
    "\n"
    "Small objects made later then come from fresh pools, side by side, and\n"
    "not from gaps all over the heap, and dirty fewer pages.");

// Takes every free block of one size, until the first one of a fresh pool,
// which is given back.
static size_t FillSize(size_t size) {
  size_t taken = 0;
  for (int i = 0; i < kMostFilled; i++) {
    void* block = PyObject_Malloc(size);
    if (!block)
      break;
    if ((uintptr_t)block % kPoolSize == kPoolHeader) {
      PyObject_Free(block);
      break;
    }
    taken += size;
  }
  return taken;
}

static PyObject* Fill(PyObject* self, PyObject* unused) {
  (void)self;
  (void)unused;
  size_t taken = 0;
  for (size_t size = kStep; size <= kLargest; size += kStep)
    taken += FillSize(size);
  return PyLong_FromSize_t(taken);
}

static PyMethodDef functions[] = {{"fill", Fill, METH_NOARGS, fill_doc},
                                  {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_seuss_heap",
    .m_size = 0,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__seuss_heap(void) {
  return PyModuleDef_Init(&definition);
}
