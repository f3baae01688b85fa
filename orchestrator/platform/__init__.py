"""Functions deployed by name, and their invocations: registry, log, admission, policies."""
