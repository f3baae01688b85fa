// Random operations before cloning, and after it on source and clones in turn.
// Whether cloned or written and read, each must from then on see and become
// what a side does that went through the same alone. A prototype is locked
// against writing while it is cloned, so that a write to it ends the program.
#include <sys/mman.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "FileOperations.h"
#include "FuzzInput.h"

namespace {

// Memory that can be locked, for all that is made while `filling`.
class Arena {
 public:
  Arena()
      : memory_(
            static_cast<std::byte*>(mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    kbugon(memory_ == MAP_FAILED, "no memory for the arena");
  }

  void* Allocate(std::size_t size) {
    constexpr std::size_t kAlignment = 16;
    auto start = used_;
    used_ += (size + kAlignment - 1) / kAlignment * kAlignment;
    kbugon(used_ > kSize, "the arena is full");
    return memory_ + start;
  }
  bool Holds(const void* pointer) const {
    auto at = static_cast<const std::byte*>(pointer);
    return at >= memory_ && at < memory_ + kSize;
  }
  void Lock() { protect(PROT_READ); }
  void Unlock() { protect(PROT_READ | PROT_WRITE); }
  void Reset() { used_ = 0; }

  bool filling = false;

 private:
  static constexpr std::size_t kSize = 8 << 20;

  void protect(int protection) {
    kbugon(mprotect(memory_, kSize, protection) != 0, "cannot lock the arena");
  }

  std::byte* memory_;
  std::size_t used_ = 0;
};

Arena& arena() {
  static Arena instance;
  return instance;
}

}  // namespace

void* operator new(std::size_t size) {
  auto memory = arena().filling ? arena().Allocate(size) : std::malloc(size);
  if (memory == nullptr)
    std::abort();
  return memory;
}

void operator delete(void* memory) noexcept {
  if (!arena().Holds(memory))
    std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
  operator delete(memory);
}

namespace {

using Operations = std::vector<Operation>;

Operations take_operations(FuzzInput& input, std::size_t count) {
  Operations operations(count);
  for (auto& operation : operations)
    for (auto& byte : operation.bytes)
      byte = static_cast<std::uint8_t>(input.Below(256));
  return operations;
}

// `step` counts what the side went through; it is its time as well.
std::string run(FileSide& side, const Operation& operation, std::size_t step) {
  FileSide::now = (step + 1) * 1'000'000'007;
  return FileOperator(side, operation).Run();
}

void expect(bool condition, const char* what) {
  if (condition)
    return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// A side, and another that goes through the same without being cloned.
struct Watched {
  std::unique_ptr<FileSide> side;
  std::unique_ptr<FileSide> model;
  Operations operations;
};

std::unique_ptr<FileSide> make_prototype(const FileSide& source,
                                         FakePages& pages) {
  arena().filling = true;
  auto prototype = source.Clone(pages);
  arena().filling = false;
  return prototype;
}

std::unique_ptr<FileSide> make_model(FakePages& pages,
                                     const Operations& history) {
  FileSide::now = 1;
  auto model = std::make_unique<FileSide>(pages);
  for (std::size_t step = 0; step < history.size(); ++step)
    run(*model, history[step], step);
  return model;
}

void live_apart(std::vector<Watched>& all, std::size_t first_step) {
  auto steps = all.front().operations.size();
  for (std::size_t step = 0; step < steps; ++step)
    for (auto& one : all)
      expect(run(*one.side, one.operations[step], first_step + step) ==
                 run(*one.model, one.operations[step], first_step + step),
             "a side saw what happened in another");
  for (auto& one : all)
    expect(one.side->Save() == one.model->Save(),
           "a side became what it would not have become alone");
}

void check(FuzzInput& input, FakePages& pages, FakePages& model_pages) {
  auto history = take_operations(input, 10 + input.Below(50));
  auto source = make_model(pages, history);
  auto state = source->Save();

  auto prototype = make_prototype(*source, pages);
  expect(prototype->Save() == state, "a clone is not what its source is");
  std::vector<Watched> all(3);
  arena().Lock();
  all[0].side = prototype->Clone(pages);
  all[1].side = prototype->Clone(pages);
  expect(prototype->Save() == state, "cloning changed the prototype");
  arena().Unlock();
  if (input.Below(2) == 0) {
    prototype.reset();
    arena().Reset();
  }
  all[2].side = std::move(source);
  auto loaded = FileSide::Load(pages, state);
  expect(loaded != nullptr, "what was written is refused");
  expect(loaded->Save() == state, "what was read is not what was written");
  all.push_back({std::move(loaded), nullptr, {}});

  for (auto& one : all) {
    one.model = make_model(model_pages, history);
    one.operations = take_operations(input, 12);
  }
  live_apart(all, history.size());
  expect(!prototype || prototype->Save() == state,
         "what clones did shows in the prototype");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  FuzzInput input(data, size);
  FakePages pages;
  FakePages model_pages;
  check(input, pages, model_pages);
  arena().Reset();
  expect(pages.used() == 0 && model_pages.used() == 0, "pages are left");
  return 0;
}
