#include "net/NetworkRights.h"

#include "files/StateCursor.h"

std::unique_ptr<ebbrt::NetworkRights>
ebbrt::NetworkRights::Parse(std::span<const std::byte> payload) {
  auto rights = std::make_unique<NetworkRights>();
  StateCursor in(payload);
  while (in.ok() && !in.complete()) {
    Entry entry;
    entry.address.host = in.Take32();
    entry.address.port = in.Take16();
    auto name = in.TakeText();
    in.Expect(name.size() <= kMaxName && entry.address.port != 0 &&
              rights->entries_.size() < kMaxEntries);
    entry.name.Append(name);
    if (in.ok())
      rights->entries_.PushBack(std::move(entry));
  }
  if (!in.complete())
    return nullptr;
  return rights;
}

bool ebbrt::NetworkRights::Allows(InternetAddress address) const {
  for (const auto& entry : entries_)
    if (entry.address == address)
      return true;
  return false;
}

bool ebbrt::NetworkRights::repeated(size_t index) const {
  const auto& entry = entries_[index];
  for (size_t i = 0; i < index; ++i)
    if (entries_[i].address.host == entry.address.host &&
        entries_[i].name == entry.name)
      return true;
  return false;
}
