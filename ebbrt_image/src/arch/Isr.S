// Entry stubs of the 256 vectors and of SYSCALL. All build a TrapFrame.

.macro PUSH_REGISTERS
  pushq %rax
  pushq %rbx
  pushq %rcx
  pushq %rdx
  pushq %rsi
  pushq %rdi
  pushq %rbp
  pushq %r8
  pushq %r9
  pushq %r10
  pushq %r11
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
.endm

.macro POP_REGISTERS
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %r11
  popq %r10
  popq %r9
  popq %r8
  popq %rbp
  popq %rdi
  popq %rsi
  popq %rdx
  popq %rcx
  popq %rbx
  popq %rax
.endm

.section .text
.altmacro
.macro STUB number
  .balign 16
  .if (\number == 8) || (\number >= 10 && \number <= 14) || (\number == 17) || (\number == 21)
  .else
  pushq $0
  .endif
  pushq $\number
  // Vectors on their own stack may interrupt before SWAPGS was done.
  .if (\number == 2) || (\number == 8) || (\number == 18)
  jmp ParanoidEntry
  .else
  jmp CommonEntry
  .endif
.endm

.balign 16
.globl isr_stubs
isr_stubs:
.set i, 0
.rept 256
  STUB %i
  .set i, i + 1
.endr

CommonEntry:
  testb $3, 24(%rsp)
  jz 1f
  swapgs
1:
  PUSH_REGISTERS
  xorl %eax, %eax
  cld
  movq %rsp, %rdi
  call HandleTrap
.globl TrapReturn
TrapReturn:
  POP_REGISTERS
  addq $16, %rsp
  testb $3, 8(%rsp)
  jz 2f
  swapgs
2:
  iretq

ParanoidEntry:
  PUSH_REGISTERS
  movl $0xC0000101, %ecx
  rdmsr
  testl %edx, %edx
  js 3f                         // the kernel's GS base is negative
  swapgs
3:
  cld
  movq %rsp, %rdi
  call HandleTrap
  ud2                           // these vectors are fatal

// SYSCALL: RCX = return address, R11 = flags, interrupts off by FMASK.
.balign 16
.globl SystemCallEntry
SystemCallEntry:
  swapgs
  movq %rsp, %gs:8              // Cpu::user_stack_scratch_
  movq %gs:0, %rsp              // Cpu::kernel_stack_
  pushq $0x1B                   // SS
  pushq %gs:8
  pushq %r11
  pushq $0x23                   // CS
  pushq %rcx
  pushq $0
  pushq $0x100                  // kVectorSystemCall
  PUSH_REGISTERS
  movq %rsp, %rdi
  xorl %ebp, %ebp
  call HandleSystemCall
  // SYSRET with a non-canonical RIP faults in ring 0 on Intel: take IRET then.
  movq 136(%rsp), %rcx          // TrapFrame::rip
  shrq $47, %rcx
  jnz 4f
  POP_REGISTERS
  addq $16, %rsp
  movq (%rsp), %rcx
  movq 16(%rsp), %r11
  movq 24(%rsp), %rsp
  swapgs
  sysretq
4:
  jmp TrapReturn

// void EnterUser(TrapFrame* frame): leaves for ring 3 for good.
.globl EnterUser
EnterUser:
  movq %rdi, %rsp
  jmp TrapReturn

.section .note.GNU-stack,"",@progbits
