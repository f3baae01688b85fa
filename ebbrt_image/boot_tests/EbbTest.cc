#include "Support.h"
#include "ebb/SharedEbb.h"

using namespace ebbrt;

namespace {

class Counter;
struct CounterRoot : MulticoreEbbRoot<Counter> {
  unsigned made = 0;
};

class Counter : public MulticoreEbb<Counter, CounterRoot> {
 public:
  explicit Counter(CounterRoot& root) : root_(root), core_(cpu::Index()) {
    __atomic_add_fetch(&root.made, 1, __ATOMIC_RELAXED);
  }
  void Increment() { ++value_; }
  unsigned value() const { return value_; }
  unsigned core() const { return core_; }
  CounterRoot& root() { return root_; }

 private:
  CounterRoot& root_;
  unsigned core_;
  unsigned value_ = 0;
};

class Shared : public SharedEbb<Shared> {
 public:
  void Add(unsigned n) { __atomic_add_fetch(&sum_, n, __ATOMIC_RELAXED); }
  unsigned sum() const { return sum_; }

 private:
  unsigned sum_ = 0;
};

// Counts the misses of each core.
class Missing {
 public:
  static Missing* HandleFault(EbbId id) {
    ++misses[cpu::Index()];
    static Missing rep;
    EbbRef<Missing>::CacheRef(id, &rep);
    return &rep;
  }
  bool Here() const { return true; }
  static inline unsigned misses[kMaxCores];
};

constexpr unsigned kCalls = 100;

void OneRepPerCore() {
  CounterRoot root;
  auto counter = Counter::Create(&root);
  kassert(root.made == 0 && !root.rep(0));
  test::RunOnAll([&](unsigned core) {
    for (unsigned i = 0; i <= core; ++i)
      counter->Increment();
    kassert(counter->core() == core && &counter->root() == &root);
    kassert(counter.Rep() == root.rep(core));
  });
  kassert(root.made == cpu::Count());
  for (unsigned core = 0; core < cpu::Count(); ++core) {
    kassert(root.rep(core)->value() == core + 1);
    for (unsigned other = 0; other < core; ++other)
      kassert(root.rep(core) != root.rep(other));
  }
  for (unsigned core = cpu::Count(); core < kMaxCores; ++core)
    kassert(!root.rep(core));
  kassert(local_id_map::Find(counter.id()) == &root);
}

void OneSharedRep() {
  Shared rep;
  auto shared = Shared::Create(&rep);
  test::RunOnAll([&](unsigned core) {
    kassert(shared.Rep() == &rep);
    shared->Add(core + 1);
  });
  kassert(rep.sum() == cpu::Count() * (cpu::Count() + 1) / 2);
}

// The table of a core is filled page by page: these ids are on new ones.
void FarIdsFaultIn() {
  constexpr uint32_t kFar[] = {1000, 70000, 5000000, 400000000};
  for (auto number : kFar) {
    for (auto& count : Missing::misses)
      count = 0;
    EbbRef<Missing> far{EbbId(number)};
    kassert(far.id() == EbbId(number));
    test::RunOnAll([&](unsigned core) {
      for (unsigned i = 0; i < kCalls; ++i)
        kassert(far->Here());
      kassert(Missing::misses[core] == 1);
    });
  }
}

void IdsAreUnique() {
  constexpr unsigned kIds = 50;
  static bool taken[kMaxCores * kIds + 1000];
  test::RunOnAll([](unsigned) {
    for (unsigned i = 0; i < kIds; ++i) {
      auto number = ebb_allocator::Allocate().number();
      kassert(number >= kFirstDynamicId.number() && number < sizeof(taken));
      kassert(!__atomic_exchange_n(&taken[number], true, __ATOMIC_RELAXED));
    }
  });
}

void IdMapRefusesDuplicates() {
  int first, second;
  auto id = ebb_allocator::Allocate();
  kassert(!local_id_map::Find(id));
  kassert(local_id_map::Insert(id, &first));
  kassert(!local_id_map::Insert(id, &second));
  kassert(local_id_map::Find(id) == &first);
  local_id_map::Erase(id);
  kassert(!local_id_map::Find(id));
}

}  // namespace

void AppMain() {
  test::Case("one rep per core", OneRepPerCore);
  test::Case("shared", OneSharedRep);
  test::Case("far ids", FarIdsFaultIn);
  test::Case("ids", IdsAreUnique);
  test::Case("id map", IdMapRefusesDuplicates);
  test::Pass();
}
