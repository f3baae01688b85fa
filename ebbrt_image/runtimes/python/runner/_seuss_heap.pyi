"""Types of the C module in ../HeapModule.c."""

def fill() -> int:
    """Take the free blocks of pools in use; return how many bytes they had."""
