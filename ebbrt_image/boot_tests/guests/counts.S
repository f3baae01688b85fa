// Touches pages in a known way; UcMemoryTest knows how many faults that takes.
#include "Guest.h"

.globl _start
_start:                                 // file fill: the code
  movq data, %rax                       // file fill, borrowed
  movq %rax, data                       // native copy
  movq %rax, data + 4096                // file fill, a copy at once
  movq zeroes, %rax                     // demand zero, borrowed
  movq %rax, zeroes                     // native copy of the zero page
  movq %rax, zeroes + 4096              // demand zero
  movq data, %rax                       // and none for these
  movq %rax, zeroes + 8
  movq data + 4104, %rax
  pushq %rax
  movl $SYS_EXIT_GROUP, %eax
  xorl %edi, %edi
  syscall

.data
.balign 4096
data:
  .fill 3 * 4096, 1, 0x5a

.bss
.balign 4096
zeroes:
  .skip 4 * 4096
