// Module `_seuss_renewal`: makes a restored clone unlike its siblings.
// In C because every clone runs it before it waits for its first request:
// Python code here would write to some forty more pages, and each idle context
// has its own copies of what it wrote to.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

#include "RenewalModule.h"

#include "OpenSslRestore.h"

// The module is never unloaded, and there is one interpreter.
static uint64_t generation;
static PyObject* unseeded;   // dict: id -> weak reference to a generator
static PyObject* callbacks;  // list
static PyTypeObject*
    plain_generator;  // in C: it takes its seed from the kernel
static PyObject* no_arguments;
static PyObject* gauss_next;
static PyObject* uuid;
static PyObject* node;
static PyObject* last_timestamp;

static bool IsGone(PyObject* reference) {
  return PyWeakref_GetObject(reference) == Py_None;
}

static bool AnyGone(void) {
  PyObject* reference;
  for (Py_ssize_t at = 0; PyDict_Next(unseeded, &at, NULL, &reference);)
    if (IsGone(reference))
      return true;
  return false;
}

static int ForgetGone(void) {
  PyObject* keys = PyDict_Keys(unseeded);
  if (!keys)
    return -1;
  int failed = 0;
  for (Py_ssize_t i = 0; !failed && i < PyList_GET_SIZE(keys); i++) {
    PyObject* key = PyList_GET_ITEM(keys, i);
    PyObject* reference = PyDict_GetItemWithError(unseeded, key);
    if (reference && IsGone(reference))
      failed = PyDict_DelItem(unseeded, key);
  }
  Py_DECREF(keys);
  return failed;
}

// What is None already is not written: its page stays shared.
static int SetToNone(PyObject* names, PyObject* name) {
  PyObject* value = PyDict_GetItemWithError(names, name);
  if (!value && PyErr_Occurred())
    return -1;
  return value == Py_None ? 0 : PyDict_SetItem(names, name, Py_None);
}

static int ForgetGauss(PyObject* generator) {
  // Not by its name: that would count references, and so write, elsewhere.
  PyObject** attributes = _PyObject_GetDictPtr(generator);
  if (!attributes || !*attributes)
    return 0;
  return SetToNone(*attributes, gauss_next);
}

static int RenewGenerator(PyObject* generator) {
  // Meanwhile threads of the function may run.
  Py_INCREF(generator);
  int failed = plain_generator->tp_init(generator, no_arguments, NULL);
  if (!failed)
    failed = ForgetGauss(generator);
  Py_DECREF(generator);
  return failed;
}

static int RenewGenerators(void) {
  if (AnyGone() && ForgetGone() < 0)
    return -1;
  Py_ssize_t at = 0;
  PyObject* reference;
  uint64_t version = ((PyDictObject*)unseeded)->ma_version_tag;
  while (PyDict_Next(unseeded, &at, NULL, &reference)) {
    PyObject* generator = PyWeakref_GetObject(reference);
    if (generator != Py_None && RenewGenerator(generator) < 0)
      return -1;
    // A thread made or seeded one: none may be passed over.
    if (((PyDictObject*)unseeded)->ma_version_tag != version) {
      version = ((PyDictObject*)unseeded)->ma_version_tag;
      at = 0;
    }
  }
  return 0;
}

// What `uuid1` is made from is found anew.
static int RenewUuid(void) {
  PyObject* module = PyDict_GetItemWithError(PyImport_GetModuleDict(), uuid);
  if (!module || !PyModule_Check(module))
    return PyErr_Occurred() ? -1 : 0;
  PyObject* names = PyModule_GetDict(module);
  return SetToNone(names, node) < 0 ? -1 : SetToNone(names, last_timestamp);
}

int RenewClone(uint64_t number) {
  generation = number;
  OpenSslRestored();
  if (RenewGenerators() < 0 || RenewUuid() < 0)
    return -1;
  return PyList_GET_SIZE(callbacks) > 0;
}

PyDoc_STRVAR(
    keep_doc,
    "keep(unseeded, callbacks): renew these generators, a dict of weak "
    "references,\n"
    "with every restore. Have it told to Python if the list is not "
    "empty.");

static PyObject* Keep(PyObject* self, PyObject* const* arguments,
                      Py_ssize_t count) {
  (void)self;
  if (count != 2 || !PyDict_CheckExact(arguments[0]) ||
      !PyList_CheckExact(arguments[1])) {
    PyErr_SetString(PyExc_TypeError, "keep takes a dict and a list");
    return NULL;
  }
  Py_XSETREF(unseeded, Py_NewRef(arguments[0]));
  Py_XSETREF(callbacks, Py_NewRef(arguments[1]));
  Py_RETURN_NONE;
}

PyDoc_STRVAR(renew_doc, "renew(generation) -> whether there are callbacks.");

static PyObject* Renew(PyObject* self, PyObject* argument) {
  (void)self;
  unsigned long long number = PyLong_AsUnsignedLongLong(argument);
  if (PyErr_Occurred())
    return NULL;
  int wanted = RenewClone(number);
  return wanted < 0 ? NULL : PyBool_FromLong(wanted);
}

PyDoc_STRVAR(generation_doc, "generation() -> number of the last restore.");

static PyObject* Generation(PyObject* self, PyObject* unused) {
  (void)self;
  (void)unused;
  return PyLong_FromUnsignedLongLong(generation);
}

static PyMethodDef functions[] = {
    {"keep", (PyCFunction)(void (*)(void))Keep, METH_FASTCALL, keep_doc},
    {"renew", Renew, METH_O, renew_doc},
    {"generation", Generation, METH_NOARGS, generation_doc},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_seuss_renewal",
    .m_size = -1,
    .m_methods = functions,
};

static PyTypeObject* FindGenerator(void) {
  PyObject* module = PyImport_ImportModule("_random");
  PyObject* type = module ? PyObject_GetAttrString(module, "Random") : NULL;
  Py_XDECREF(module);
  return (PyTypeObject*)type;
}

PyMODINIT_FUNC PyInit__seuss_renewal(void) {
  plain_generator = FindGenerator();
  no_arguments = PyTuple_New(0);
  gauss_next = PyUnicode_InternFromString("gauss_next");
  uuid = PyUnicode_InternFromString("uuid");
  node = PyUnicode_InternFromString("_node");
  last_timestamp = PyUnicode_InternFromString("_last_timestamp");
  unseeded = PyDict_New();
  callbacks = PyList_New(0);
  if (!plain_generator || !no_arguments || !gauss_next || !uuid || !node ||
      !last_timestamp || !unseeded || !callbacks)
    return NULL;
  return PyModule_Create(&definition);
}
