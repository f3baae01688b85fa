#include <gtest/gtest.h>

#include <vector>

#include "net/NameAnswer.h"

namespace {

using ebbrt::InternetAddress;
using ebbrt::NetworkRights;
using Bytes = std::vector<std::byte>;

constexpr unsigned kAddress = 1;
constexpr unsigned kAddress6 = 28;

void Add(Bytes& bytes, std::string_view text) {
  for (auto letter : text)
    bytes.push_back(static_cast<std::byte>(letter));
}

void AddEntry(Bytes& list, std::uint32_t host, std::uint16_t port,
              std::string_view name) {
  for (int i = 0; i < 4; ++i)
    list.push_back(static_cast<std::byte>(host >> 8 * i));
  for (int i = 0; i < 2; ++i)
    list.push_back(static_cast<std::byte>(port >> 8 * i));
  list.push_back(static_cast<std::byte>(name.size()));
  list.push_back(static_cast<std::byte>(name.size() >> 8));
  Add(list, name);
}

std::unique_ptr<NetworkRights> Rights() {
  Bytes list;
  AddEntry(list, 0x01020304, 443, "example.org");
  AddEntry(list, 0x01020305, 443, "example.org");
  AddEntry(list, 0x01020304, 80, "example.org");
  AddEntry(list, 0x0a000202, 8080, "10.0.2.2");
  return NetworkRights::Parse(list);
}

Bytes Question(std::string_view name, unsigned type) {
  Bytes bytes;
  Add(bytes, std::string_view("\x12\x34\x01\0\0\x01\0\0\0\0\0\0", 12));
  while (!name.empty()) {
    auto label = name.substr(0, name.find('.'));
    bytes.push_back(static_cast<std::byte>(label.size()));
    Add(bytes, label);
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  Add(bytes, std::string_view("\0\0", 2));
  bytes.push_back(static_cast<std::byte>(type));
  Add(bytes, std::string_view("\0\x01", 2));
  return bytes;
}

Bytes Answer(const Bytes& question) {
  Bytes answer(ebbrt::kMaxNameMessage);
  answer.resize(
      ebbrt::AnswerName(Rights().get(), question,
                        std::span<std::byte, ebbrt::kMaxNameMessage>(answer)));
  return answer;
}

unsigned Count(const Bytes& answer) {
  return std::to_integer<unsigned>(answer[7]);
}

unsigned Code(const Bytes& answer) {
  return std::to_integer<unsigned>(answer[3]) & 15;
}

TEST(NetworkRightsTest, AllowsWhatIsListed) {
  auto rights = Rights();
  ASSERT_TRUE(rights);
  EXPECT_TRUE(rights->Allows({0x01020305, 443}));
  EXPECT_FALSE(rights->Allows({0x01020305, 80}));
  EXPECT_FALSE(rights->Allows({0x01020306, 443}));
}

TEST(NetworkRightsTest, RefusesWhatIsDamaged) {
  Bytes list;
  AddEntry(list, 1, 443, "a");
  for (std::size_t size = 1; size < list.size(); ++size)
    EXPECT_FALSE(NetworkRights::Parse(std::span(list).first(size))) << size;
  Bytes no_port;
  AddEntry(no_port, 1, 0, "a");
  EXPECT_FALSE(NetworkRights::Parse(no_port));
  Bytes long_name;
  AddEntry(long_name, 1, 1, std::string(254, 'a'));
  EXPECT_FALSE(NetworkRights::Parse(long_name));
  Bytes many;
  for (int i = 0; i < 257; ++i)
    AddEntry(many, 1, 1, "a");
  EXPECT_FALSE(NetworkRights::Parse(many));
  EXPECT_TRUE(NetworkRights::Parse({}));
}

TEST(NameAnswerTest, GivesEachAddressOnce) {
  auto question = Question("Example.ORG", kAddress);
  auto answer = Answer(question);
  ASSERT_EQ(answer.size(), question.size() + 32);
  EXPECT_EQ(Count(answer), 2u);
  EXPECT_EQ(Code(answer), 0u);
  EXPECT_EQ(answer[0], std::byte{0x12});
  EXPECT_EQ(Bytes(answer.end() - 20, answer.end() - 16),
            (Bytes{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}}));
  EXPECT_EQ(Bytes(answer.end() - 4, answer.end()),
            (Bytes{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{5}}));
}

TEST(NameAnswerTest, KnowsNoOtherNamesAndTypes) {
  auto unknown = Answer(Question("example.com", kAddress));
  EXPECT_EQ(Code(unknown), 3u);
  EXPECT_EQ(Count(unknown), 0u);
  auto other = Answer(Question("example.org", kAddress6));
  EXPECT_EQ(Code(other), 0u);
  EXPECT_EQ(Count(other), 0u);
}

TEST(NameAnswerTest, DropsWhatIsNoQuestion) {
  auto question = Question("example.org", kAddress);
  for (std::size_t size = 0; size < question.size(); ++size)
    EXPECT_TRUE(Answer(Bytes(question.begin(),
                             question.begin() + static_cast<long>(size)))
                    .empty())
        << size;
  auto response = question;
  response[2] |= std::byte{0x80};
  EXPECT_TRUE(Answer(response).empty());
  auto pointer = question;
  pointer[12] = std::byte{0xc0};
  EXPECT_TRUE(Answer(pointer).empty());
}

TEST(NameAnswerTest, KnowsTheLoopbackWithoutRights) {
  Bytes answer(ebbrt::kMaxNameMessage);
  auto ask = [&answer](std::string_view name) {
    return ebbrt::AnswerName(
        nullptr, Question(name, kAddress),
        std::span<std::byte, ebbrt::kMaxNameMessage>(answer));
  };
  auto size = ask("localhost");
  ASSERT_EQ(size, Question("localhost", kAddress).size() + 16);
  EXPECT_EQ(answer[size - 4], std::byte{127});
  EXPECT_GT(ask("example.org"), 0u);
  EXPECT_EQ(Code(answer), 3u);
}

}  // namespace
