"""The isolation vm: a machine per invocation, captured and restored from outside through QMP."""
