// The vDSO as it is mapped into every UC.
.section .rodata
.balign 4096
.globl vdso_start
.globl vdso_end
vdso_start:
.incbin VDSO_PATH
.balign 4096
vdso_end:

.section .note.GNU-stack,"",@progbits
