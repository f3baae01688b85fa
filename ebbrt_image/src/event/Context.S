// Saving and resuming a blocked event. Layout: EventContext::registers_.

.section .text
// bool SaveRegisters(uint64_t registers[8]): false now, true when resumed.
.globl SaveRegisters
SaveRegisters:
  movq %rbx, 0(%rdi)
  movq %rbp, 8(%rdi)
  movq %r12, 16(%rdi)
  movq %r13, 24(%rdi)
  movq %r14, 32(%rdi)
  movq %r15, 40(%rdi)
  leaq 8(%rsp), %rax
  movq %rax, 48(%rdi)
  movq (%rsp), %rax
  movq %rax, 56(%rdi)
  xorl %eax, %eax
  ret

// [[noreturn]] void ResumeRegisters(const uint64_t registers[8])
.globl ResumeRegisters
ResumeRegisters:
  movq 0(%rdi), %rbx
  movq 8(%rdi), %rbp
  movq 16(%rdi), %r12
  movq 24(%rdi), %r13
  movq 32(%rdi), %r14
  movq 40(%rdi), %r15
  movq 48(%rdi), %rsp
  movl $1, %eax
  jmp *56(%rdi)

// [[noreturn]] void CallOnStack(uint64_t top, void (*function)())
.globl CallOnStack
CallOnStack:
  movq %rdi, %rsp
  xorl %ebp, %ebp
  call *%rsi
  ud2

.section .note.GNU-stack,"",@progbits
