# Entry of the test guest: 32-bit protected mode, paging off, as PVH leaves it.
        .section .note.pvh, "a", @note
        .long   4, 4, 18                    # name size, value size, XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .long   start

        .text
        .code32
        .globl  start
start:
        cld
        cli
        movl    $stack_top, %esp
        xorl    %ebp, %ebp
        call    Main

        .bss
        .balign 4096
        .skip   16384
stack_top:

        .section .note.GNU-stack, "", @progbits
