// Does the forbidden thing that its argument names. Ends with status 0 if it is
// still alive then.
#include "Guest.h"

static const char text[kPageSize] = {1};
static u8 code[16] = {0xc3};

static void Nothing(void) {
  __asm__ volatile("");
}

static u64 Recurse(u64 depth) {
  volatile u64 room[64];
  room[0] = depth;
  return depth == ~0ul ? 0 : Recurse(depth + 1) + room[0];
}

static u64 Load(u64 address) {
  u64 value;
  __asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(address));
  return value;
}

static void Store(u64 address) {
  __asm__ volatile("movb $0, (%0)" : : "r"(address) : "memory");
}

static void Run(u64 address) {
  __asm__ volatile("call *%0" : : "r"(address) : "memory");
}

static void SetFlags(u64 set) {
  __asm__ volatile("pushfq; orq %0, (%%rsp); popfq"
                   :
                   : "r"(set)
                   : "cc", "memory");
}

static u64 Flags(void) {
  u64 flags;
  __asm__ volatile("pushfq; popq %0" : "=r"(flags));
  return flags;
}

#define IS(name) Same(what, name)

int Main(int count, char** arguments) {
  EXPECT(count, 2);
  const char* what = arguments[1];
  if (IS("read-null"))
    Load(0);
  if (IS("write-null"))
    Store(8);
  if (IS("write-text"))
    Store((u64)&Nothing);
  if (IS("write-constant"))
    Store((u64)text);
  if (IS("run-data"))
    Run((u64)code);
  if (IS("run-null"))
    Run(0);
  if (IS("read-kernel"))
    Load(0xffffffff80100000);
  if (IS("read-direct-map"))
    Load(0xffff800000100000);
  if (IS("read-core"))
    Load(0xfffff00000000000);
  if (IS("write-kernel"))
    Store(0xffffffff80100000);
  if (IS("run-kernel"))
    Run(0xffffffff80100000);
  if (IS("read-strange"))
    Load(0x1234567890abcdef);
  if (IS("run-strange"))
    Run(0x1234567890abcdef);
  if (IS("stack"))
    Recurse(0);
  if (IS("divide"))
    __asm__ volatile("xorl %%ecx, %%ecx; divl %%ecx" : : : "eax", "ecx", "edx");
  if (IS("illegal"))
    __asm__ volatile("ud2");
  if (IS("hlt"))
    __asm__ volatile("hlt");
  if (IS("cli"))
    __asm__ volatile("cli");
  if (IS("sti"))
    __asm__ volatile("sti");
  if (IS("out"))
    __asm__ volatile("outb %%al, $0xf4" : : "a"(0x10));
  if (IS("in"))
    __asm__ volatile("inb $0x60, %%al" : : : "eax");
  if (IS("rdmsr"))
    __asm__ volatile("rdmsr" : : "c"(0xc0000080) : "eax", "edx");
  if (IS("wrmsr"))
    __asm__ volatile("wrmsr" : : "c"(0xc0000082), "a"(0), "d"(0));
  if (IS("read-cr3"))
    __asm__ volatile("movq %%cr3, %%rax" : : : "rax");
  if (IS("write-cr3"))
    __asm__ volatile("movq %%rax, %%cr3" : : "a"(0));
  if (IS("invlpg"))
    __asm__ volatile("invlpg (%0)" : : "r"(0x400000ul));
  if (IS("lidt"))
    __asm__ volatile("lidt (%0)" : : "r"(code));
  if (IS("swapgs"))
    __asm__ volatile("swapgs");
  if (IS("sysret"))
    __asm__ volatile("sysretq" : : "c"(&Nothing));
  if (IS("int-page-fault"))
    __asm__ volatile("int $14");
  if (IS("int-timer"))
    __asm__ volatile("int $33");
  if (IS("int-80"))
    __asm__ volatile("int $0x80");
  if (IS("int3"))
    __asm__ volatile("int3");
  if (IS("icebp"))
    __asm__ volatile(".byte 0xf1");
  // A far jump, since QEMU 7.2 lets IRET in ring 3 fault for ever under SMAP.
  if (IS("kernel-segment")) {
    static const struct {
      u32 offset;
      unsigned short segment;
    } __attribute__((packed)) target = {0x400000, 0x08};
    __asm__ volatile("ljmpl *%0" : : "m"(target));
  }
  if (IS("single-step"))
    SetFlags(0x100);
  if (IS("x87-exception"))
    __asm__ volatile("fninit; movw $0x340, -2(%%rsp); fldcw -2(%%rsp);"
                     "fldz; fldz; fdivp; fwait"
                     :
                     :
                     : "memory");
  // A pending x87 exception is a UC's own affair also across kernel entries.
  if (IS("x87-pending")) {
    __asm__ volatile("fninit; movw $0x340, -2(%%rsp); fldcw -2(%%rsp);"
                     "fldz; fldz; fdivp"
                     :
                     :
                     : "memory");
    for (int i = 0; i < 10; ++i)
      CALL1(kYield, 0);
    __asm__ volatile("fwait");
  }
  if (IS("alignment")) {
    SetFlags(0x40000);
    Load((u64)text + 1);
  }
  // Allowed: flags that ring 3 may hold must not reach the kernel's work.
  if (IS("flags")) {
    u64 before = Flags();
    SetFlags(0x3000 | 0x20000 | 0x80000 | 0x100000);
    EXPECT(Flags() & 0x1a3000, before & 0x1a3000);
    // DF, NT and AC, over a system call and a fault.
    SetFlags(0x44400);
    static u8 page[3 * kPageSize];
    __asm__ volatile("syscall" : : "a"((long)kYield) : "rcx", "r11", "memory");
    __asm__ volatile("movb $1, (%0)" : : "r"(page + kPageSize) : "memory");
    EXPECT(Flags() & 0x44400, 0x44400);
    __asm__ volatile("pushq $0x202; popfq; cld" : : : "cc", "memory");
  }
  if (IS("segments")) {
    // Null and own segments load; the kernel's do not.
    __asm__ volatile("movw %w0, %%ds; movw %w0, %%es; movw %w0, %%fs;"
                     "movw %w0, %%gs"
                     :
                     : "r"(0));
    CALL1(kYield, 0);
    __asm__ volatile("movw %w0, %%gs; movw %w0, %%fs" : : "r"(0x1b));
    CALL1(kYield, 0);
  }
  if (IS("load-kernel-segment"))
    __asm__ volatile("movw %w0, %%ds" : : "r"(0x10));
  // The kernel must not run on a stack that ring 3 chose.
  if (IS("strange-stack")) {
    __asm__ volatile("movq %%rsp, %%rbx; movq %1, %%rsp; syscall;"
                     "movq %%rbx, %%rsp"
                     :
                     : "a"((long)kYield), "r"(0xdeadbeef00000000)
                     : "rbx", "rcx", "r11", "memory");
  }
  // The last bytes that can be mapped; SYSCALL returns behind them.
  if (IS("edge")) {
    u8* page = MapAnonymous(0x7fffffffe000, kPageSize,
                            kCanRead | kCanWrite | kCanExecute, 0x10);
    EXPECT((u64)page, 0x7fffffffe000);
    page[kPageSize - 2] = 0x0f;
    page[kPageSize - 1] = 0x05;
    __asm__ volatile("jmp *%1"
                     :
                     : "a"((long)kYield), "r"(page + kPageSize - 2));
  }
  // And those behind cannot.
  if (IS("last-page"))
    EXPECT_TRUE((long)MapAnonymous(0x7ffffffff000, kPageSize, kCanRead, 0x10) <
                0);
  if (IS("bad-number"))
    CALL1(512, 0);
  if (IS("negative-number"))
    CALL1(-1, 0);
  if (IS("kill")) {
    CALL2(kKill, 1, 15);
    return 1;
  }
  if (IS("output")) {
    EXPECT(CALL3(kWrite, 1, 0x1000, 5), kBadAddress);
    EXPECT(CALL3(kWrite, 1, 0xffffffff80100000, 5), kBadAddress);
    // As much as can be read goes out.
    u8* page = MapAnonymous(0, 2 * kPageSize, kCanRead | kCanWrite, 0);
    EXPECT(CALL2(kUnmap, page + kPageSize, kPageSize), 0);
    page[kPageSize - 2] = 'k';
    page[kPageSize - 1] = '\n';
    EXPECT(CALL3(kWrite, 1, page + kPageSize - 2, 100), 2);
  }
  return 0;
}
