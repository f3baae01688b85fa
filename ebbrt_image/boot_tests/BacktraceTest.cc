#include "arch/Backtrace.h"

#include <string_view>

#include "Support.h"

using namespace ebbrt;

extern "C" {
void MarkedFunction();
extern char text_start[], text_end[];
}

[[gnu::noinline]] void MarkedFunction() {
  asm volatile("nop; nop; nop");
}

namespace {

std::string_view NameAt(uint64_t address) {
  auto symbol = backtrace::Resolve(address);
  return symbol.name ? symbol.name : "";
}

void FunctionsHaveNames() {
  auto start = reinterpret_cast<uint64_t>(&MarkedFunction);
  auto symbol = backtrace::Resolve(start);
  kassert(symbol.name && std::string_view(symbol.name) == "MarkedFunction");
  kassert(symbol.offset == 0);
  kassert(backtrace::Resolve(start + 2).offset == 2);
  kassert(NameAt(start + 2) == "MarkedFunction");
  kassert(NameAt(start - 1) != "MarkedFunction");
  kassert(NameAt(reinterpret_cast<uint64_t>(&AppMain)) == "AppMain");
}

void OtherAddressesHaveNone() {
  static int variable;
  kassert(!backtrace::Resolve(0).name);
  kassert(!backtrace::Resolve(reinterpret_cast<uint64_t>(&variable)).name);
  kassert(!backtrace::Resolve(reinterpret_cast<uint64_t>(text_start) - 1).name);
  kassert(!backtrace::Resolve(reinterpret_cast<uint64_t>(text_end)).name);
  kassert(!backtrace::Resolve(~uint64_t{0}).name);
}

// Neither garbage in the frame pointer nor a circle leads astray.
void BrokenFramesEnd() {
  auto here = reinterpret_cast<uint64_t>(&MarkedFunction);
  backtrace::Print(here, 0);
  backtrace::Print(here, 0x1000);
  backtrace::Print(here, 0xffffffffffffffff);
  uint64_t circle[2];
  circle[0] = reinterpret_cast<uint64_t>(circle);
  circle[1] = here + 1;
  backtrace::Print(here, reinterpret_cast<uint64_t>(circle));
  backtrace::Print(0, reinterpret_cast<uint64_t>(circle));
}

}  // namespace

void AppMain() {
  test::Case("names", FunctionsHaveNames);
  test::Case("other addresses", OtherAddressesHaveNone);
  test::Case("broken frames", BrokenFramesEnd);
  test::Pass();
}
