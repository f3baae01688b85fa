// PVH entry: 32-bit protected mode, paging off, EBX = physical address of the
// hvm_start_info. Builds the first page tables and jumps to the high half.
#define KERNEL_BASE 0xFFFFFFFF80000000
#define PHYS(symbol) ((symbol) - KERNEL_BASE)

#define CR0_PE_ET_NE_WP_AM_PG 0x80050033
#define CR4_PAE_PGE_OSFXSR_OSXMMEXCPT 0x6A0
#define MSR_EFER 0xC0000080
#define EFER_SCE_LME_NXE 0x901

.section .note.pvh,"a",@note
  .align 4
  .long 4
  .long 4
  .long 18                      // XEN_ELFNOTE_PHYS32_ENTRY
  .asciz "Xen"
  .align 4
  .long PHYS(PvhEntry)

.section .boot.text,"ax"
.code32
.globl PvhEntry
PvhEntry:
  cld
  movl %ebx, PHYS(boot_start_info)
  movl $PHYS(boot_stack_end), %esp

  // Four page directories map the first 4 GiB with 2 MiB pages.
  movl $PHYS(boot_directories), %edi
  movl $0x83, %eax              // present, writable, large
  xorl %edx, %edx
  movl $2048, %ecx
1:
  movl %eax, (%edi)
  movl $0, 4(%edi)
  cmpl $0xC0000000, %eax
  jb 2f
  orl $0x18, (%edi)             // device memory: uncached
2:
  addl $0x200000, %eax
  addl $8, %edi
  loop 1b

  movl $PHYS(boot_directories) + 3, %eax
  movl $PHYS(boot_low_pdpt), %edi
  movl $4, %ecx
3:
  movl %eax, (%edi)
  addl $0x1000, %eax
  addl $8, %edi
  loop 3b

  movl $PHYS(boot_directories) + 3, PHYS(boot_high_pdpt) + 510 * 8
  movl $PHYS(boot_low_pdpt) + 3, PHYS(boot_root)
  movl $PHYS(boot_low_pdpt) + 3, PHYS(boot_root) + 256 * 8
  movl $PHYS(boot_high_pdpt) + 3, PHYS(boot_root) + 511 * 8

  movl $PHYS(boot_root), %eax
  call EnterLongMode
  ljmp $0x08, $PHYS(BootLong)

// EAX = physical address of the root table.
EnterLongMode:
  movl %eax, %cr3
  movl $CR4_PAE_PGE_OSFXSR_OSXMMEXCPT, %eax
  movl %eax, %cr4
  movl $MSR_EFER, %ecx
  rdmsr
  orl $EFER_SCE_LME_NXE, %eax
  wrmsr
  movl $CR0_PE_ET_NE_WP_AM_PG, %eax
  movl %eax, %cr0
  lgdt PHYS(boot_gdt_pointer)
  ret

.code64
BootLong:
  movabsq $BootHigh, %rax
  jmp *%rax
BootHigh:
  movw $0x10, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  xorl %eax, %eax
  movw %ax, %fs
  movw %ax, %gs
  movabsq $boot_stack_end, %rsp
  xorl %ebp, %ebp
  movl boot_start_info(%rip), %edi
  call KernelMain
  ud2

// The stacks of application cores exist in the kernel's own tables only.
ApHigh:
  movq ap_root, %rax
  movq %rax, %cr3
  movq ap_stack_top, %rsp
  xorl %ebp, %ebp
  call ApMain
  ud2

// Application cores start here in real mode, at the page that Smp.cc copied
// this code to (kTrampolinePage).
#define TRAMPOLINE 0x8000
#define AT(symbol) (TRAMPOLINE + (symbol) - ApTrampolineStart)
.section .rodata
.globl ApTrampolineStart
.globl ApTrampolineEnd
.code16
ApTrampolineStart:
  cli
  cld
  xorw %ax, %ax
  movw %ax, %ds
  lgdtl AT(ap_gdt_pointer)
  movl $1, %eax
  movl %eax, %cr0
  ljmpl $0x18, $AT(ApProtected)
.code32
ApProtected:
  movw $0x10, %ax
  movw %ax, %ds
  movw %ax, %ss
  movl $PHYS(boot_root), %eax
  movl %eax, %cr3
  movl $CR4_PAE_PGE_OSFXSR_OSXMMEXCPT, %eax
  movl %eax, %cr4
  movl $MSR_EFER, %ecx
  rdmsr
  orl $EFER_SCE_LME_NXE, %eax
  wrmsr
  movl $CR0_PE_ET_NE_WP_AM_PG, %eax
  movl %eax, %cr0
  ljmpl $0x08, $AT(ApLong)
.code64
ApLong:
  movw $0x10, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movabsq $ApHigh, %rax
  jmp *%rax
  .align 8
ap_gdt:
  .quad 0
  .quad 0x00AF9A000000FFFF      // 64-bit code
  .quad 0x00CF92000000FFFF      // data
  .quad 0x00CF9A000000FFFF      // 32-bit code
ap_gdt_pointer:
  .word 31
  .long AT(ap_gdt)
ApTrampolineEnd:

.section .data
  .align 8
boot_gdt:
  .quad 0
  .quad 0x00AF9A000000FFFF
  .quad 0x00CF92000000FFFF
boot_gdt_pointer:
  .word 23
  .long PHYS(boot_gdt)
.globl boot_start_info
boot_start_info:
  .long 0
  .align 8
.globl ap_root
ap_root:
  .quad 0
.globl ap_stack_top
ap_stack_top:
  .quad 0

.section .bss
  .align 4096
.globl boot_root
boot_root:
  .skip 4096
boot_low_pdpt:
  .skip 4096
boot_high_pdpt:
  .skip 4096
boot_directories:
  .skip 4 * 4096
boot_stack:
  .skip 16384
boot_stack_end:

.section .note.GNU-stack,"",@progbits
