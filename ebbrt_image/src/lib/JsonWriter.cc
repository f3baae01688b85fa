#include "lib/JsonWriter.h"

#include "lib/Assert.h"
#include "lib/Format.h"

namespace {

// Length of the well-formed UTF-8 sequence at the start of `text`; 0 when the
// first byte starts none (overlong forms and surrogates included).
std::size_t utf8_length(std::string_view text) {
  auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  auto continues = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  auto first = byte(0);
  if (first < 0x80)
    return 1;
  if (first >= 0xc2 && first <= 0xdf)
    return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    auto overlong = first == 0xe0 && byte(1) < 0xa0;
    auto surrogate = first == 0xed && byte(1) > 0x9f;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    auto overlong = first == 0xf0 && byte(1) < 0x90;
    auto beyond = first == 0xf4 && byte(1) > 0x8f;
    auto tails = continues(1) && continues(2) && continues(3);
    return tails && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

}  // namespace

void ebbrt::JsonWriter::put(char character) {
  if (size_ == buffer_.size())
    ok_ = false;
  if (ok_)
    buffer_[size_++] = character;
}

void ebbrt::JsonWriter::put(std::string_view text) {
  for (auto character : text)
    put(character);
}

void ebbrt::JsonWriter::put_escape(unsigned code_unit) {
  char text[8];
  auto size = FormatTo(text, "\\u%04x", code_unit);
  put(std::string_view(text, size));
}

void ebbrt::JsonWriter::put_quoted(std::string_view text) {
  constexpr unsigned kReplacement = 0xfffd;
  put('"');
  while (!text.empty() && ok_) {
    auto length = utf8_length(text);
    auto first = static_cast<unsigned char>(text.front());
    if (length == 0) {
      put_escape(kReplacement);
      length = 1;
    } else if (first == '"' || first == '\\') {
      put('\\');
      put(text.front());
    } else if (first < 0x20 || first == 0x7f) {
      put_escape(first);
    } else {
      put(std::string_view(text.data(), length));
    }
    text.remove_prefix(length);
  }
  put('"');
}

void ebbrt::JsonWriter::begin_value() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (filled_[depth_])
    put(',');
  filled_[depth_] = true;
}

void ebbrt::JsonWriter::open(char bracket) {
  begin_value();
  put(bracket);
  kbugon(depth_ == kMaxDepth, "JSON nested too deeply");
  filled_[++depth_] = false;
}

void ebbrt::JsonWriter::close(char bracket) {
  kbugon(depth_ == 0 || after_key_, "JSON bracket without its partner");
  --depth_;
  put(bracket);
}

void ebbrt::JsonWriter::BeginObject() {
  open('{');
}
void ebbrt::JsonWriter::EndObject() {
  close('}');
}
void ebbrt::JsonWriter::BeginArray() {
  open('[');
}
void ebbrt::JsonWriter::EndArray() {
  close(']');
}

void ebbrt::JsonWriter::Key(std::string_view name) {
  kbugon(after_key_, "JSON key after a key");
  begin_value();
  put_quoted(name);
  put(':');
  after_key_ = true;
}

void ebbrt::JsonWriter::Text(std::string_view text) {
  begin_value();
  put_quoted(text);
}

void ebbrt::JsonWriter::Integer(std::int64_t value) {
  begin_value();
  char text[24];
  auto size = FormatTo(text, "%ld", static_cast<long>(value));
  put(std::string_view(text, size));
}

void ebbrt::JsonWriter::Unsigned(std::uint64_t value) {
  begin_value();
  char text[24];
  auto size = FormatTo(text, "%lu", static_cast<unsigned long>(value));
  put(std::string_view(text, size));
}

void ebbrt::JsonWriter::Boolean(bool value) {
  begin_value();
  put(value ? "true" : "false");
}

void ebbrt::JsonWriter::Null() {
  begin_value();
  put("null");
}

void ebbrt::JsonWriter::Text(std::string_view name, std::string_view text) {
  Key(name);
  Text(text);
}

void ebbrt::JsonWriter::Integer(std::string_view name, std::int64_t value) {
  Key(name);
  Integer(value);
}

void ebbrt::JsonWriter::Unsigned(std::string_view name, std::uint64_t value) {
  Key(name);
  Unsigned(value);
}

void ebbrt::JsonWriter::Boolean(std::string_view name, bool value) {
  Key(name);
  Boolean(value);
}

void ebbrt::JsonWriter::Null(std::string_view name) {
  Key(name);
  Null();
}
