// Waits for a request and then touches pages in a known way, without a stack;
// SnapshotTest knows how many faults that takes a copy of it.
#include "Guest.h"

.globl _start
_start:
  movq %rax, written                    // what the snapshot brings
  movq %rax, written + 4096
  movq %rax, written + 8192
  movq data, %rax                       // borrowed from the file
  movq zeroes, %rax                     // borrowed, the page of zeroes
  xorl %eax, %eax                       // read(channel)
  movl $3, %edi
  movl $written + 8192, %esi            // snapshot copy, by the kernel
  movl $32, %edx
  syscall

  movq written, %rax
  movq %rax, written                    // snapshot copy
  movq %rax, written + 8
  movq written + 4096, %rax
  movq %rax, written + 4096             // snapshot copy
  movq %rax, data                       // native copy, of the file's page
  movq %rax, zeroes                     // native copy, of the zero page
  movq %rax, fresh                      // demand zero
  movq fresh + 4096, %rax               // demand zero, borrowed
  movq %rax, data + 4096                // file fill
  movl $10, %eax                        // mprotect(written, page, read)
  movl $written, %edi
  movl $4096, %esi
  movl $1, %edx
  syscall
  movl $10, %eax                        // and back
  movl $3, %edx
  syscall
  movq %rax, written                    // protection
  movl $SYS_EXIT_GROUP, %eax
  xorl %edi, %edi
  syscall

.data
.balign 4096
data:
  .fill 2 * 4096, 1, 0x5a

.bss
.balign 4096
written:
  .skip 3 * 4096
zeroes:
  .skip 4096
fresh:
  .skip 2 * 4096
