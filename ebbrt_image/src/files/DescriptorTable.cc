#include "files/DescriptorTable.h"

#include <algorithm>

#include "files/CloneMap.h"

void ebbrt::DescriptorTable::CloneFrom(const DescriptorTable& source,
                                       CloneMap& map) {
  CloseAll();
  slots_.Resize(source.slots_.size());
  auto clone = [&](bool epoll_sets) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      auto& old = source.slots_[i];
      if (old.descriptor &&
          (old.descriptor->kind() == Descriptor::Kind::kEpoll) == epoll_sets)
        slots_[i] = {map.Clone(*old.descriptor), old.close_on_exec};
    }
  };
  clone(false);
  // These refer to others.
  clone(true);
  open_count_ = source.open_count_;
}

bool ebbrt::DescriptorTable::open(int number) const {
  return number >= 0 && static_cast<std::size_t>(number) < slots_.size() &&
         slots_[static_cast<std::size_t>(number)].descriptor;
}

ebbrt::DescriptorTable::Slot& ebbrt::DescriptorTable::slot(int number) {
  auto index = static_cast<std::size_t>(number);
  if (index >= slots_.size())
    slots_.Resize(index + 1);
  return slots_[index];
}

ebbrt::Result<ebbrt::RefPtr<ebbrt::Descriptor>>
ebbrt::DescriptorTable::Get(int number) const {
  if (!open(number))
    return Errno::kBadDescriptor;
  return slots_[static_cast<std::size_t>(number)].descriptor;
}

ebbrt::Result<int>
ebbrt::DescriptorTable::Allocate(RefPtr<Descriptor> descriptor,
                                 bool close_on_exec, int minimum) {
  if (minimum < 0 || minimum >= limit_)
    return Errno::kInvalid;
  auto number = minimum;
  while (open(number))
    ++number;
  if (number >= limit_)
    return Errno::kTooManyFiles;
  slot(number) = {std::move(descriptor), close_on_exec};
  ++open_count_;
  return number;
}

ebbrt::Result<int>
ebbrt::DescriptorTable::Duplicate(int number, bool close_on_exec, int minimum) {
  auto descriptor = Get(number);
  if (!descriptor.ok())
    return descriptor.error();
  return Allocate(std::move(descriptor).value(), close_on_exec, minimum);
}

ebbrt::Result<int> ebbrt::DescriptorTable::DuplicateTo(int number, int target) {
  if (number == target)
    return open(number) ? Result<int>(number) : Errno::kBadDescriptor;
  return DuplicateTo(number, target, false);
}

ebbrt::Result<int> ebbrt::DescriptorTable::DuplicateTo(int number, int target,
                                                       bool close_on_exec) {
  if (number == target)
    return Errno::kInvalid;
  auto descriptor = Get(number);
  if (!descriptor.ok())
    return descriptor.error();
  auto result = Set(target, std::move(descriptor).value(), close_on_exec);
  return result.ok() ? Result<int>(target) : result.error();
}

ebbrt::Result<void> ebbrt::DescriptorTable::Set(int number,
                                                RefPtr<Descriptor> descriptor,
                                                bool close_on_exec) {
  if (number < 0 || number >= limit_)
    return Errno::kBadDescriptor;
  if (!open(number))
    ++open_count_;
  slot(number) = {std::move(descriptor), close_on_exec};
  return {};
}

ebbrt::Result<void> ebbrt::DescriptorTable::Close(int number) {
  if (!open(number))
    return Errno::kBadDescriptor;
  slot(number) = {};
  --open_count_;
  return {};
}

void ebbrt::DescriptorTable::CloseRange(unsigned first, unsigned last) {
  for (std::size_t number = first; number <= last && number < slots_.size();
       ++number)
    if (slots_[number].descriptor)
      static_cast<void>(Close(static_cast<int>(number)));
}

void ebbrt::DescriptorTable::CloseAll() {
  slots_.Clear();
  open_count_ = 0;
}

void ebbrt::DescriptorTable::CloseOnExec() {
  for (std::size_t number = 0; number < slots_.size(); ++number)
    if (slots_[number].descriptor && slots_[number].close_on_exec)
      static_cast<void>(Close(static_cast<int>(number)));
}

ebbrt::Result<bool> ebbrt::DescriptorTable::close_on_exec(int number) const {
  if (!open(number))
    return Errno::kBadDescriptor;
  return slots_[static_cast<std::size_t>(number)].close_on_exec;
}

ebbrt::Result<void>
ebbrt::DescriptorTable::set_close_on_exec(int number, bool close_on_exec) {
  if (!open(number))
    return Errno::kBadDescriptor;
  slot(number).close_on_exec = close_on_exec;
  return {};
}
