# A guest that does a known amount of work in ring 0, in ring 3 and across the
# border between them, and marks each step on the debug console. The host times
# the marks: that tells an accelerator worth using from one that only opens.
#
# Marks on port 0xe9, one line each: start, ring0, ring3, calls.
# Ends QEMU through isa-debug-exit (port 0xf4): 0x10 all done, 0x20 failure.

        .set    RING0_TURNS, 1000000        # 2,000,000 instructions
        .set    RING3_TURNS, 20000000       # 40,000,000 instructions
        .set    CALLS, 2000                 # SYSCALL there and IRET back

        .set    MSR_EFER, 0xc0000080
        .set    MSR_STAR, 0xc0000081
        .set    MSR_LSTAR, 0xc0000082
        .set    MSR_FMASK, 0xc0000084

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

        # One gibibyte mapped one to one with 2 MiB pages, open to ring 3.
        movl    $page_directory, %edi
        movl    $0x87, %eax                 # present, writable, user, large
        movl    $512, %ecx
1:      movl    %eax, (%edi)
        movl    $0, 4(%edi)
        addl    $0x200000, %eax
        addl    $8, %edi
        loop    1b
        movl    $page_directory + 7, pdpt
        movl    $pdpt + 7, pml4

        movl    %cr4, %eax
        orl     $0x20, %eax                 # PAE
        movl    %eax, %cr4
        movl    $pml4, %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx
        rdmsr
        orl     $0x101, %eax                # long mode, SYSCALL
        wrmsr
        movl    %cr0, %eax
        orl     $0x80000001, %eax
        movl    %eax, %cr0
        lgdt    gdt_pointer
        ljmp    $0x08, $long_mode

        .code64
long_mode:
        movw    $0x10, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    $stack_top, %esp

        movl    $MSR_STAR, %ecx
        xorl    %eax, %eax
        movl    $0x00130008, %edx           # SYSRET base 0x13, SYSCALL base 0x08
        wrmsr
        movl    $MSR_LSTAR, %ecx
        movl    $call_entry, %eax
        xorl    %edx, %edx
        wrmsr
        movl    $MSR_FMASK, %ecx
        xorl    %eax, %eax
        wrmsr

        movl    $text_start, %esi
        call    print

        movl    $RING0_TURNS, %ecx
1:      decl    %ecx
        jnz     1b
        movl    $text_ring0, %esi
        call    print

        pushq   $0x1b                       # ring-3 stack segment
        pushq   $user_stack_top
        pushq   $0x3002                     # IOPL 3: ring 3 may use the ports
        pushq   $0x23                       # ring-3 code segment
        pushq   $ring3
        iretq

ring3:
        movl    $RING3_TURNS, %ecx
1:      decl    %ecx
        jnz     1b
        movl    $text_ring3, %esi
        call    print

        movl    $CALLS, %ebx
        xorl    %ebp, %ebp
1:      syscall
        decl    %ebx
        jnz     1b
        cmpl    $CALLS, %ebp                # every call reached ring 0
        movb    $0x20, %al
        jne     2f
        movl    $text_calls, %esi
        call    print
        movb    $0x10, %al
2:      outb    %al, $0xf4
        jmp     2b

call_entry:
        incl    %ebp
        movq    %rsp, %rdx
        movl    $stack_top, %esp
        pushq   $0x1b
        pushq   %rdx
        pushq   %r11
        pushq   $0x23
        pushq   %rcx
        iretq

# Prints the string at %rsi, which ends with a zero byte.
print:
        lodsb
        testb   %al, %al
        jz      1f
        outb    %al, $0xe9
        jmp     print
1:      ret

        .section .rodata
text_start: .asciz "start\n"
text_ring0: .asciz "ring0\n"
text_ring3: .asciz "ring3\n"
text_calls: .asciz "calls\n"

        .data
        .balign 8
gdt:
        .quad   0
        .quad   0x00af9b000000ffff          # 0x08 ring-0 code, 64-bit
        .quad   0x00cf93000000ffff          # 0x10 ring-0 data
        .quad   0x00cff3000000ffff          # 0x18 ring-3 data
        .quad   0x00affb000000ffff          # 0x20 ring-3 code, 64-bit
gdt_end:
gdt_pointer:
        .word   gdt_end - gdt - 1
        .long   gdt

        .bss
        .balign 4096
pml4:   .skip   4096
pdpt:   .skip   4096
page_directory: .skip 4096
        .skip   4096
stack_top:
        .skip   4096
user_stack_top:

        .section .note.GNU-stack, "", @progbits
