"""The program that serves one function inside a unikernel context."""
