#include "node/Listing.h"

#include <algorithm>
#include <memory>
#include <new>

#include "messenger/Messenger.h"
#include "node/Report.h"

namespace {

constexpr size_t kBufferSize = 64 << 10;
// More than one entry and the end of the document take.
constexpr size_t kRoom = 768;
constexpr uint32_t kAllSnapshots = ~uint32_t{0};

bool Full(const ebbrt::JsonWriter& json) {
  return json.view().size() > kBufferSize - kRoom;
}

// The lowest of the numbers offered, from `first` on, in constant room.
class LowestNumbers {
 public:
  explicit LowestNumbers(uint32_t first) : first_(first) {}

  void Offer(uint32_t number) {
    if (number < first_ || (full() && number > numbers_[0]))
      return;
    if (full())
      std::pop_heap(numbers_, numbers_ + count_--);
    numbers_[count_++] = number;
    std::push_heap(numbers_, numbers_ + count_);
  }
  std::span<const uint32_t> Sorted() {
    std::sort_heap(numbers_, numbers_ + count_);
    return {numbers_, count_};
  }
  // There may be more.
  bool full() const { return count_ == kMax; }

 private:
  static constexpr size_t kMax = 512;

  uint32_t first_;
  size_t count_ = 0;
  uint32_t numbers_[kMax];
};

}  // namespace

void ebbrt::Listing::Send(uint64_t id, Place from) {
  std::unique_ptr<char[]> buffer(new (std::nothrow) char[kBufferSize]);
  if (!buffer) {
    report::Error(id, 0, "memory-limit", "the node has no memory for a list");
    return;
  }
  next_ = from;
  JsonWriter json(std::span(buffer.get(), kBufferSize));
  json.BeginObject();
  json.Unsigned("context_count", root_.CountContexts());
  json.Unsigned("snapshot_count", root_.snapshots().count());
  json.Key("snapshots");
  json.BeginArray();
  auto whole = write_snapshots(json);
  json.EndArray();
  json.Key("contexts");
  json.BeginArray();
  if (whole)
    whole = write_contexts(json);
  json.EndArray();
  json.Key("next");
  if (whole) {
    json.Null();
  } else {
    json.BeginArray();
    json.Unsigned(next_.snapshot);
    json.Unsigned(next_.context);
    json.EndArray();
  }
  json.EndObject();
  kbugon(!json.ok(), "no room for an entry of the list");
  messenger->SendText(FrameType::kListed, id, 0, json.view());
}

bool ebbrt::Listing::write_snapshots(JsonWriter& json) {
  while (next_.snapshot != kAllSnapshots) {
    LowestNumbers numbers(next_.snapshot);
    root_.snapshots().ForEach(
        [&numbers](Snapshot& snapshot) { numbers.Offer(snapshot.id()); });
    for (auto number : numbers.Sorted()) {
      next_.snapshot = number;
      if (Full(json))
        return false;
      if (auto snapshot = root_.snapshots().Find(number))
        report::WriteSnapshot(json, *snapshot);
      ++next_.snapshot;
    }
    if (!numbers.full())
      next_.snapshot = kAllSnapshots;
  }
  return true;
}

bool ebbrt::Listing::write_contexts(JsonWriter& json) {
  auto core = Contexts::CoreOf(next_.context);
  for (; core < cpu::Count(); ++core, next_.context = core) {
    bool whole;
    auto work = [&] { whole = write_core(json); };
    if (core == cpu::Index())
      work();
    else
      EventManager::CallRemote(work, core);
    if (!whole)
      return false;
  }
  return true;
}

bool ebbrt::Listing::write_core(JsonWriter& json) {
  for (;;) {
    LowestNumbers numbers(next_.context);
    contexts->ForEach(
        [&numbers](UnikernelContext& uc) { numbers.Offer(uc.id()); });
    for (auto number : numbers.Sorted()) {
      next_.context = number;
      if (Full(json))
        return false;
      report::WriteContext(json, *contexts->Find(number));
      next_.context += kMaxCores;
    }
    if (!numbers.full())
      return true;
  }
}
