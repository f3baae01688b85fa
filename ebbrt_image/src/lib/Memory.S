// The memory routines that compilers call. String instructions: short code, and
// under emulation one instruction moves the whole block.

.section .text
.globl memcpy
memcpy:
  movq %rdi, %rax
  movq %rdx, %rcx
  shrq $3, %rcx
  rep movsq
  movl %edx, %ecx
  andl $7, %ecx
  rep movsb
  ret

.globl memmove
memmove:
  movq %rdi, %rax
  subq %rsi, %rax
  cmpq %rdx, %rax
  jae memcpy                    // no overlap that matters going up
  movq %rdi, %rax
  leaq -1(%rdi,%rdx), %rdi
  leaq -1(%rsi,%rdx), %rsi
  movq %rdx, %rcx
  std
  rep movsb
  cld
  ret

.globl memset
memset:
  movq %rdi, %r8
  movzbl %sil, %eax
  movabsq $0x0101010101010101, %rcx
  imulq %rcx, %rax
  movq %rdx, %rcx
  shrq $3, %rcx
  rep stosq
  movl %edx, %ecx
  andl $7, %ecx
  rep stosb
  movq %r8, %rax
  ret

.globl memcmp
memcmp:
  movq %rdx, %rcx
  cmpq %rcx, %rcx               // equal when there is nothing to compare
  repe cmpsb
  jne 1f
  xorl %eax, %eax
  ret
1:
  movzbl -1(%rdi), %eax
  movzbl -1(%rsi), %ecx
  subl %ecx, %eax
  ret

.globl strlen
strlen:
  movq %rdi, %rdx
  xorl %eax, %eax
  movq $-1, %rcx
  repne scasb
  leaq -1(%rdi), %rax
  subq %rdx, %rax
  ret

.globl memchr
memchr:
  movl %esi, %eax
  movq %rdx, %rcx
  testq %rcx, %rcx
  jz 2f
  repne scasb
  jne 2f
  leaq -1(%rdi), %rax
  ret
2:
  xorl %eax, %eax
  ret

.section .note.GNU-stack,"",@progbits
