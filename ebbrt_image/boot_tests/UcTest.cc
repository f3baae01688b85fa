// UCs that live and die alone: ends, faults, forbidden instructions.

#include "UcRunner.h"

using namespace ebbrt;
using test::Expect;
using test::ExpectStatus;
using test::Outcome;
using test::ReturnsAllFrames;
using test::Run;

namespace {

struct FaultCase {
  const char* argument;
  EndKind kind;
  const char* message;
};

constexpr FaultCase kFaults[] = {
    {"read-null", EndKind::kFault, "read of address 0x0"},
    {"write-null", EndKind::kFault, "write of address 0x8"},
    {"write-text", EndKind::kFault, "write of address 0x40"},
    {"write-constant", EndKind::kFault, "write of address 0x40"},
    {"run-data", EndKind::kFault, "execution of address 0x40"},
    {"run-null", EndKind::kFault, "execution of address 0x0"},
    {"read-kernel", EndKind::kFault, "read of address 0xffffffff80100000"},
    {"read-direct-map", EndKind::kFault, "read of address 0xffff800000100000"},
    {"read-core", EndKind::kFault, "read of address 0xfffff00000000000"},
    {"write-kernel", EndKind::kFault, "write of address 0xffffffff80100000"},
    {"run-kernel", EndKind::kFault, "of address 0xffffffff80100000"},
    {"read-strange", EndKind::kFault, "protection"},
    {"run-strange", EndKind::kFault, "protection"},
    {"stack", EndKind::kFault, "write of address 0x3f7ff"},
    {"divide", EndKind::kFault, "divide error"},
    {"illegal", EndKind::kFault, "invalid opcode"},
    {"hlt", EndKind::kFault, "protection"},
    {"cli", EndKind::kFault, "protection"},
    {"sti", EndKind::kFault, "protection"},
    {"out", EndKind::kFault, "protection"},
    {"in", EndKind::kFault, "protection"},
    {"rdmsr", EndKind::kFault, "protection"},
    {"wrmsr", EndKind::kFault, "protection"},
    {"read-cr3", EndKind::kFault, "protection"},
    {"write-cr3", EndKind::kFault, "protection"},
    {"invlpg", EndKind::kFault, "protection"},
    {"lidt", EndKind::kFault, "protection"},
    {"swapgs", EndKind::kFault, "protection"},
    {"sysret", EndKind::kFault, "protection"},
    {"int-page-fault", EndKind::kFault, "protection"},
    {"int-timer", EndKind::kFault, "protection"},
    {"int-80", EndKind::kFault, "protection"},
    {"int3", EndKind::kFault, "protection"},
    // Emulators do not all know the instruction.
    {"icebp", EndKind::kFault, "at rip 0x40"},
    {"kernel-segment", EndKind::kFault, "protection"},
    {"single-step", EndKind::kFault, "debug"},
    {"x87-exception", EndKind::kFault, "x87 error"},
    {"x87-pending", EndKind::kFault, "x87 error"},
    {"load-kernel-segment", EndKind::kFault, "protection"},
    {"edge", EndKind::kFault, "execution of address 0x7ffffffff000"},
    {"bad-number", EndKind::kBadCall, "512"},
    {"negative-number", EndKind::kBadCall, "-1"},
    {"kill", EndKind::kExit, "killed by its own signal 15"},
    {"flags", EndKind::kExit, "exit status 0"},
    {"segments", EndKind::kExit, "exit status 0"},
    {"strange-stack", EndKind::kExit, "exit status 0"},
    {"last-page", EndKind::kExit, "exit status 0"},
    {"output", EndKind::kExit, "exit status 0"},
};

void HelloEnds() {
  ReturnsAllFrames([] { ExpectStatus(Run({"hello"}), 7); });
}

void MissingProgramIsAnswered() {
  class Nobody final : public UcObserver {
    void ContextEnded(UnikernelContext&) override {
      kabort("a UC ended that never started");
    }
  } nobody;
  ReturnsAllFrames([&nobody] {
    UnikernelContext uc(99, {}, test::GuestArchive(), nobody);
    kassert(uc.Start("/bin/none", {}, {}).error() == Errno::kNoEntry);
    kassert(uc.Start("/bin", {}, {}).error() == Errno::kAccess);
  });
}

// Each dies alone and leaves nothing; the kernel and the next one go on.
void FaultsAreAnswered() {
  for (const auto& fault : kFaults) {
    kprintf("  %s\n", fault.argument);
    ReturnsAllFrames([&fault] {
      Expect(Run({"fault", fault.argument}), fault.kind, fault.message);
    });
  }
  ExpectStatus(Run({"hello"}), 7);
}

// The same on every core at once, while other UCs are at work there.
void FaultsOnAllCores() {
  ReturnsAllFrames([] {
    test::RunOnAll([](unsigned core) {
      for (size_t i = core; i < std::size(kFaults); i += 3) {
        test::UcRunner bystander({"hello"});
        Expect(Run({"fault", kFaults[i].argument}), kFaults[i].kind,
               kFaults[i].message);
        ExpectStatus(bystander.Wait(), 7);
      }
    });
  });
}

}  // namespace

void AppMain() {
  test::Case("hello", HelloEnds);
  test::Case("no program", MissingProgramIsAnswered);
  test::Case("faults", FaultsAreAnswered);
  test::Case("faults on all cores", FaultsOnAllCores);
  test::Pass();
}
