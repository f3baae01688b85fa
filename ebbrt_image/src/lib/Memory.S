// The memory routines that compilers call. String instructions: short code. But
// QEMU's translator goes round once for each of their steps, so what makes up
// pages goes by plain moves, 64 bytes a round.

.section .text
.globl memcpy
memcpy:
  movq %rdi, %rax
  movq %rdx, %rcx
  shrq $6, %rcx
  jz 2f
1:
  movq (%rsi), %r8
  movq 8(%rsi), %r9
  movq 16(%rsi), %r10
  movq 24(%rsi), %r11
  movq %r8, (%rdi)
  movq %r9, 8(%rdi)
  movq %r10, 16(%rdi)
  movq %r11, 24(%rdi)
  movq 32(%rsi), %r8
  movq 40(%rsi), %r9
  movq 48(%rsi), %r10
  movq 56(%rsi), %r11
  movq %r8, 32(%rdi)
  movq %r9, 40(%rdi)
  movq %r10, 48(%rdi)
  movq %r11, 56(%rdi)
  addq $64, %rsi
  addq $64, %rdi
  decq %rcx
  jnz 1b
2:
  movl %edx, %ecx
  andl $63, %ecx
  shrl $3, %ecx
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
  shrq $6, %rcx
  jz 2f
1:
  movq %rax, (%rdi)
  movq %rax, 8(%rdi)
  movq %rax, 16(%rdi)
  movq %rax, 24(%rdi)
  movq %rax, 32(%rdi)
  movq %rax, 40(%rdi)
  movq %rax, 48(%rdi)
  movq %rax, 56(%rdi)
  addq $64, %rdi
  decq %rcx
  jnz 1b
2:
  movl %edx, %ecx
  andl $63, %ecx
  shrl $3, %ecx
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
