"""The isolation uc: a machine with many unikernel contexts, captured and deployed by its kernel."""
