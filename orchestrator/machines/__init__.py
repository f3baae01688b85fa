"""QEMU processes: their command lines, memory, consoles, and the accelerator they run on."""
