// The program of a Python unikernel context: CPython with its whole library
// frozen in, which starts the runner. Runs on the library OS and on Linux.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ExtraModules.h"

extern const struct _frozen kFrozenModules[];

#define DECLARE_MODULE(name) extern PyObject* PyInit_##name(void);
SEUSS_EXTRA_MODULES(DECLARE_MODULE)

#define TABLE_ROW(name) {#name, PyInit_##name},
static struct _inittab extra_modules[] = {
    SEUSS_EXTRA_MODULES(TABLE_ROW){NULL, NULL}};

enum { kStartFailed = 70 };

static _Noreturn void Fail(const char* step, const char* cause) {
  fprintf(stderr, "seuss: Python did not start: %s: %s\n", step,
          cause ? cause : "unknown cause");
  fflush(NULL);
  _exit(kStartFailed);
}

static void Check(const char* step, PyStatus status) {
  if (PyStatus_Exception(status))
    Fail(step, status.err_msg);
}

static void SetString(PyConfig* config, wchar_t** field, const wchar_t* value) {
  Check("configuration", PyConfig_SetString(config, field, value));
}

// Every path is given, so that CPython probes no files to find them.
static void SetPaths(PyConfig* config) {
  SetString(config, &config->program_name, L"/bin/python");
  SetString(config, &config->executable, L"/bin/python");
  SetString(config, &config->base_executable, L"/bin/python");
  SetString(config, &config->prefix, L"/");
  SetString(config, &config->exec_prefix, L"/");
  SetString(config, &config->base_prefix, L"/");
  SetString(config, &config->base_exec_prefix, L"/");
  SetString(config, &config->home, L"/");
  SetString(config, &config->platlibdir, L"lib");
  config->module_search_paths_set = 1;
}

static void StartInterpreter(void) {
  PyPreConfig preconfig;
  PyPreConfig_InitIsolatedConfig(&preconfig);
  preconfig.utf8_mode = 1;
  preconfig.configure_locale = 0;
  preconfig.parse_argv = 0;
  Check("pre-initialisation", Py_PreInitialize(&preconfig));

  PyConfig config;
  PyConfig_InitIsolatedConfig(&config);
  config.parse_argv = 0;
  config.site_import = 0;
  config.install_signal_handlers = 0;
  config.write_bytecode = 0;
  config.pathconfig_warnings = 0;
  config.use_hash_seed = 0;
  config.buffered_stdio = 1;
  SetString(&config, &config.stdio_encoding, L"utf-8");
  // A print must never fail because of an odd character.
  SetString(&config, &config.stdio_errors, L"backslashreplace");
  SetPaths(&config);
  Check("initialisation", Py_InitializeFromConfig(&config));
  PyConfig_Clear(&config);
}

static int RunRunner(void) {
  PyObject* module = PyImport_ImportModule("seuss_runner.serve");
  PyObject* status = module ? PyObject_CallMethod(module, "main", NULL) : NULL;
  if (!status) {
    PyErr_Print();
    Fail("runner", "it raised the exception above");
  }
  return (int)PyLong_AsLong(status);
}

// What the library would otherwise search files or name services for.
static void SetEnvironment(void) {
  setenv("HOME", "/tmp", 0);
  setenv("TMPDIR", "/tmp", 0);
  setenv("PYTHONTZPATH", "/usr/share/zoneinfo", 0);
  setenv("OPENSSL_CONF", "/dev/null", 0);
}

int main(void) {
  // One malloc arena: with a global lock, more only cost address space.
  mallopt(M_ARENA_MAX, 1);
  signal(SIGPIPE, SIG_IGN);
  SetEnvironment();
  PyImport_FrozenModules = kFrozenModules;
  if (PyImport_ExtendInittab(extra_modules) != 0)
    Fail("module table", "out of memory");
  StartInterpreter();
  int status = RunRunner();
  // No finalisation: threads that a function left behind would hold it up.
  fflush(NULL);
  _exit(status);
}
