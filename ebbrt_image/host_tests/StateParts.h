// A UC's files as bytes, put together by hand, right or wrong.
#ifndef EBBRT_HOST_TESTS_STATEPARTS_H_
#define EBBRT_HOST_TESTS_STATEPARTS_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "Bytes.h"
#include "FileSide.h"
#include "lib/Crc32.h"

// The parts of a state, to be put together in any way. It needs a directory to
// be good: the root of /tmp.
class StateParts {
 public:
  ebbrt::StateBuffer names;
  ebbrt::StateBuffer inodes;
  ebbrt::StateBuffer channels;
  ebbrt::StateBuffer descriptors;
  ebbrt::StateBuffer numbers;
  std::string pages;
  std::uint32_t version = 1;
  std::uint32_t first_section = 1;
  std::uint64_t last_number = 100;

  // Files and directories count from 0, which is the root.
  void AddInode(std::uint32_t mode) {
    ++inode_count_;
    inodes.Add64(inode_count_);
    inodes.Add32(mode);
    for (int i = 0; i < 6; ++i)
      inodes.Add64(0);
  }
  void AddDirectory(std::vector<std::string_view> entries = {}) {
    AddInode(ebbrt::abi::kModeDirectory | 0755);
    inodes.Add64(entries.size());
    inodes.Add32(entries.size());
    std::uint64_t cookie = 0;
    for (auto entry : entries) {
      inodes.Add64(cookie++);
      inodes.AddText(entry);
    }
  }
  void AddFile(std::uint64_t size = 0, std::uint32_t page_count = 0) {
    AddInode(ebbrt::abi::kModeRegular | 0644);
    inodes.Add64(size);
    inodes.Add32(page_count);
  }
  void AddPage(std::uint64_t index, std::string_view bytes) {
    inodes.Add64(index);
    inodes.Add16(static_cast<std::uint16_t>(bytes.size()));
    pages += bytes;
  }
  void AddChannel(std::size_t size = 0) {
    ++channel_count_;
    channels.Add32(0);
    channels.Add32(size);
    channels.AddBytes(Bytes(std::string(size, 'c')));
  }
  // At the next number.
  void AddDescriptor(ebbrt::StateKind kind, int flags,
                     const std::function<void(ebbrt::StateBuffer&)>& fill) {
    AddNumber(descriptor_count_, descriptor_count_);
    AddClosedDescriptor(kind, flags, fill);
  }
  void
  AddClosedDescriptor(ebbrt::StateKind kind, int flags,
                      const std::function<void(ebbrt::StateBuffer&)>& fill) {
    ebbrt::StateBuffer body;
    fill(body);
    descriptors.Add8(static_cast<std::uint8_t>(kind));
    descriptors.Add32(static_cast<std::uint32_t>(flags));
    descriptors.Add32(body.size());
    descriptors.AddBytes(body.bytes());
    ++descriptor_count_;
  }
  void AddNumber(std::uint32_t number, std::uint32_t descriptor,
                 std::uint8_t close_on_exec = 0) {
    ++number_count_;
    numbers.Add32(number);
    numbers.Add32(descriptor);
    numbers.Add8(close_on_exec);
  }
  void SetDirectory(ebbrt::Place::Kind kind, std::uint32_t index) {
    directory_kind_ = kind;
    directory_index_ = index;
  }

  std::vector<std::byte> Join() const {
    ebbrt::StateBuffer head;
    head.Add32(FileSide::archive().check());
    head.AddText(FileSide::kExecutable);
    head.Add64(last_number);
    head.Add8(static_cast<std::uint8_t>(directory_kind_));
    head.Add32(directory_index_);
    ebbrt::StateBuffer state;
    state.AddBytes(std::as_bytes(std::span(ebbrt::kStateMagic)));
    state.Add32(version);
    auto size_at = state.size();
    state.Add64(0);
    auto id = first_section;
    auto add = [&](std::span<const std::byte> first,
                   std::span<const std::byte> rest) {
      state.Add32(id++);
      state.Add64(first.size() + rest.size());
      state.AddBytes(first);
      state.AddBytes(rest);
    };
    auto counted = [&](std::uint32_t count, const ebbrt::StateBuffer& buffer) {
      ebbrt::StateBuffer before;
      before.Add32(count);
      add(before.bytes(), buffer.bytes());
    };
    add(head.bytes(), names.bytes());
    counted(inode_count_, inodes);
    counted(channel_count_, channels);
    counted(descriptor_count_, descriptors);
    counted(number_count_, numbers);
    add(Bytes(pages), {});
    state.SetCount(size_at, static_cast<std::uint32_t>(state.size() + 4));
    state.Add32(ebbrt::Crc32(state.bytes()));
    auto bytes = state.bytes();
    return {bytes.begin(), bytes.end()};
  }

 private:
  std::uint32_t inode_count_ = 0;
  std::uint32_t channel_count_ = 0;
  std::uint32_t descriptor_count_ = 0;
  std::uint32_t number_count_ = 0;
  ebbrt::Place::Kind directory_kind_ = ebbrt::Place::Kind::kArchive;
  std::uint32_t directory_index_ = 0;
};

// What StateReadingTest::Read gives.
constexpr int kGood = 0;
constexpr int kDamaged = static_cast<int>(ebbrt::Errno::kBadMessage);
constexpr int kNoSpace = static_cast<int>(ebbrt::Errno::kNoSpace);
constexpr int kForeign = static_cast<int>(ebbrt::Errno::kInvalid);
constexpr int kOtherVersion = static_cast<int>(ebbrt::Errno::kNotSupported);

class StateReadingTest : public testing::Test {
 protected:
  ~StateReadingTest() override { EXPECT_EQ(pages_.used(), 0u); }

  // What reading answers: 0 for a state.
  int Read(std::span<const std::byte> bytes) {
    auto why = ebbrt::Errno{};
    auto side = FileSide::Load(pages_, bytes, 0, &why);
    return side ? 0 : static_cast<int>(why);
  }
  int Read(const StateParts& parts) { return Read(parts.Join()); }

  FakePages pages_{50};
};

#endif  // EBBRT_HOST_TESTS_STATEPARTS_H_
