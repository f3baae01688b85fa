// Owned text, always followed by a NUL that does not count.
#ifndef EBBRT_LIB_STRING_H_
#define EBBRT_LIB_STRING_H_

#include <cstddef>
#include <string_view>

#include "lib/Vector.h"

namespace ebbrt {

class String {
 public:
  String() = default;
  explicit String(std::string_view text) { Append(text); }
  String(const String& other) : String(other.view()) {}
  String& operator=(const String& other) {
    if (this != &other)
      *this = String(other);
    return *this;
  }
  String(String&&) noexcept = default;
  String& operator=(String&&) noexcept = default;

  std::size_t size() const { return text_.empty() ? 0 : text_.size() - 1; }
  bool empty() const { return size() == 0; }
  const char* c_str() const { return text_.empty() ? "" : text_.data(); }
  std::string_view view() const { return {c_str(), size()}; }
  operator std::string_view() const { return view(); }
  char operator[](std::size_t index) const {
    kassert(index < size());
    return text_[index];
  }

  // `text` must not be part of this string.
  void Append(std::string_view text) {
    if (text.empty())
      return;
    auto old_size = size();
    text_.Resize(old_size + text.size() + 1);
    for (std::size_t i = 0; i < text.size(); ++i)
      text_[old_size + i] = text[i];
    text_.back() = '\0';
  }
  void Append(char character) { Append(std::string_view(&character, 1)); }

  // Cuts to `size`, which is at most the present size.
  void Truncate(std::size_t size) {
    kassert(size <= this->size());
    if (text_.empty())
      return;
    text_.Resize(size + 1);
    text_.back() = '\0';
  }
  void Clear() { text_.Clear(); }

  bool operator==(const String& other) const { return view() == other.view(); }
  bool operator==(std::string_view other) const { return view() == other; }

 private:
  Vector<char> text_;
};

}  // namespace ebbrt

#endif  // EBBRT_LIB_STRING_H_
