#include "net/NameAnswer.h"

#include <algorithm>

#include "files/Loopback.h"

namespace {

constexpr size_t kHeader = 12;
constexpr size_t kRecord = 16;
constexpr size_t kMaxLabel = 63;
constexpr unsigned kTypeAddress = 1;
constexpr unsigned kClassInternet = 1;
constexpr unsigned kLifetime = 60;  // s
constexpr unsigned kNoSuchName = 3;

class Writer {
 public:
  explicit Writer(std::span<std::byte> bytes) : bytes_(bytes) {}
  void Add16(unsigned value) {
    bytes_[size_++] = static_cast<std::byte>(value >> 8);
    bytes_[size_++] = static_cast<std::byte>(value);
  }
  void Add32(uint32_t value) {
    Add16(value >> 16);
    Add16(value & 0xffff);
  }
  void Add(std::span<const std::byte> bytes) {
    for (auto byte : bytes)
      bytes_[size_++] = byte;
  }
  size_t size() const { return size_; }
  size_t room() const { return bytes_.size() - size_; }

 private:
  std::span<std::byte> bytes_;
  size_t size_ = 0;
};

unsigned Read16(std::span<const std::byte> bytes, size_t at) {
  return std::to_integer<unsigned>(bytes[at]) << 8 |
         std::to_integer<unsigned>(bytes[at + 1]);
}

// The name of the question in small letters with dots; where it ends, or 0.
size_t ReadName(std::span<const std::byte> message, ebbrt::String& name) {
  size_t at = kHeader;
  while (at < message.size()) {
    auto length = std::to_integer<size_t>(message[at++]);
    if (length == 0)
      return at;
    if (length > kMaxLabel || length > message.size() - at ||
        name.size() + length > ebbrt::NetworkRights::kMaxName)
      return 0;
    if (!name.empty())
      name.Append(".");
    for (auto byte : message.subspan(at, length)) {
      auto letter = std::to_integer<char>(byte);
      if (letter >= 'A' && letter <= 'Z')
        letter = static_cast<char>(letter - 'A' + 'a');
      name.Append(std::string_view(&letter, 1));
    }
    at += length;
  }
  return 0;
}

template <class Visit>
void Resolve(const ebbrt::NetworkRights* rights, std::string_view name,
             Visit visit) {
  if (name == "localhost")
    visit(ebbrt::loopback::kHost);
  else if (rights)
    rights->Resolve(name, visit);
}

}  // namespace

size_t ebbrt::AnswerName(const NetworkRights* rights,
                         std::span<const std::byte> question,
                         std::span<std::byte, kMaxNameMessage> answer) {
  // One question, of the standard kind.
  if (question.size() < kHeader || (Read16(question, 2) & 0xf800) != 0 ||
      Read16(question, 4) != 1)
    return 0;
  String name;
  auto end = ReadName(question, name);
  if (end == 0 || question.size() - end < 4)
    return 0;
  auto wants_address = Read16(question, end) == kTypeAddress &&
                       Read16(question, end + 2) == kClassInternet;
  auto asked = question.subspan(kHeader, end + 4 - kHeader);
  unsigned known = 0, given = 0;
  auto room = (kMaxNameMessage - kHeader - asked.size()) / kRecord;
  Resolve(rights, name, [&](uint32_t) { ++known; });
  if (wants_address)
    given = static_cast<unsigned>(std::min<size_t>(known, room));
  Writer out(answer);
  out.Add16(Read16(question, 0));
  // A response of a server that recurses, to a question that may want that.
  out.Add16(0x8080 | (Read16(question, 2) & 0x0100) |
            (known == 0 ? kNoSuchName : 0));
  out.Add16(1);
  out.Add16(given);
  out.Add32(0);
  out.Add(asked);
  Resolve(rights, name, [&](uint32_t host) {
    if (given == 0)
      return;
    --given;
    out.Add16(0xc000 | kHeader);
    out.Add16(kTypeAddress);
    out.Add16(kClassInternet);
    out.Add32(kLifetime);
    out.Add16(sizeof(host));
    out.Add32(host);
  });
  return out.size();
}
