// Module `_seuss_openssl`: lets OpenSSL take a restore for a fork.
//
// Each of OpenSSL's random generators compares the id of its process with that
// of its last draw, and seeds itself anew from the kernel if they differ. So
// clones of one snapshot share nothing, and one that draws nothing pays nothing.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

// The linker gives OpenSSL's generators the first for the second (--wrap).
extern int __wrap_openssl_get_fork_id(void);
extern int __real_openssl_get_fork_id(void);

static unsigned restores;

int __wrap_openssl_get_fork_id(void) {
  return (int)((unsigned)__real_openssl_get_fork_id() + restores);
}

PyDoc_STRVAR(restored_doc,
             "restored(): OpenSSL's generators get new seeds before they draw "
             "again.");

static PyObject* Restored(PyObject* self, PyObject* unused) {
  (void)self;
  (void)unused;
  restores++;
  Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"restored", Restored, METH_NOARGS, restored_doc}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_seuss_openssl",
    .m_size = 0,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__seuss_openssl(void) {
  return PyModuleDef_Init(&definition);
}
