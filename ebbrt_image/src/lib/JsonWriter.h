// Writes small JSON documents into a buffer of fixed size. Text that is not
// UTF-8 comes out with U+FFFD in place of each bad byte, so the document is
// always valid. When the buffer is too small ok() turns false and nothing more
// is written.
#ifndef EBBRT_LIB_JSONWRITER_H_
#define EBBRT_LIB_JSONWRITER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ebbrt {

class JsonWriter {
 public:
  static constexpr int kMaxDepth = 16;

  explicit JsonWriter(std::span<char> buffer) : buffer_(buffer) {}

  void BeginObject();
  void EndObject();
  void BeginArray();
  void EndArray();
  // Between BeginObject and EndObject every value follows a key.
  void Key(std::string_view name);

  void Text(std::string_view text);
  void Integer(std::int64_t value);
  void Unsigned(std::uint64_t value);
  void Boolean(bool value);
  void Null();

  void Text(std::string_view name, std::string_view text);
  void Integer(std::string_view name, std::int64_t value);
  void Unsigned(std::string_view name, std::uint64_t value);
  void Boolean(std::string_view name, bool value);
  void Null(std::string_view name);

  bool ok() const { return ok_; }
  // What is written so far; a whole document once every Begin has its End.
  std::string_view view() const { return {buffer_.data(), size_}; }

 private:
  void begin_value();
  void open(char bracket);
  void close(char bracket);
  void put(char character);
  void put(std::string_view text);
  void put_escape(unsigned code_unit);
  void put_quoted(std::string_view text);

  std::span<char> buffer_;
  std::size_t size_ = 0;
  int depth_ = 0;
  bool ok_ = true;
  bool after_key_ = false;
  // Per open bracket: does it hold a value already?
  bool filled_[kMaxDepth + 1] = {};
};

}  // namespace ebbrt

#endif  // EBBRT_LIB_JSONWRITER_H_
