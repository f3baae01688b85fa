#include "lib/Format.h"

#include <cstdint>

namespace {

class Output {
 public:
  explicit Output(std::span<char> buffer) : buffer_(buffer) {}

  void Put(char character) {
    if (size_ + 1 < buffer_.size())
      buffer_[size_++] = character;
  }
  void Pad(char character, int count) {
    for (; count > 0; --count)
      Put(character);
  }
  std::size_t Finish() {
    if (!buffer_.empty())
      buffer_[size_] = '\0';
    return size_;
  }

 private:
  std::span<char> buffer_;
  std::size_t size_ = 0;
};

enum class Length { kChar, kShort, kInt, kLong };

struct Spec {
  bool left = false;
  bool zero = false;
  bool prefix = false;
  bool plus = false;
  int width = 0;
  int precision = -1;
  Length length = Length::kInt;
};

bool is_digit(char character) {
  return character >= '0' && character <= '9';
}

// Bounded, so that a silly width cannot overflow.
int parse_number(const char*& at) {
  constexpr int kLimit = 1 << 20;
  int number = 0;
  for (; is_digit(*at); ++at)
    if (number < kLimit)
      number = number * 10 + (*at - '0');
  return number;
}

Length parse_length(const char*& at) {
  switch (*at) {
  case 'h':
    ++at;
    if (*at != 'h')
      return Length::kShort;
    ++at;
    return Length::kChar;
  case 'l':
    ++at;
    if (*at == 'l')
      ++at;
    return Length::kLong;
  case 'z':
  case 'j':
  case 't':
    ++at;
    return Length::kLong;
  default:
    return Length::kInt;
  }
}

void put_text(Output& output, const Spec& spec, const char* text) {
  if (text == nullptr)
    text = "(null)";
  int size = 0;
  // With a precision the text need not end in a NUL.
  while ((spec.precision < 0 || size < spec.precision) && text[size] != '\0')
    ++size;
  if (!spec.left)
    output.Pad(' ', spec.width - size);
  for (int i = 0; i < size; ++i)
    output.Put(text[i]);
  if (spec.left)
    output.Pad(' ', spec.width - size);
}

void put_number(Output& output, const Spec& spec, std::uint64_t value,
                unsigned base, bool upper, const char* prefix) {
  constexpr int kMaxDigits = 20;
  char digits[kMaxDigits];
  int count = 0;
  const char* alphabet = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  for (; value != 0; value /= base)
    digits[count++] = alphabet[value % base];
  if (count == 0 && spec.precision != 0)
    digits[count++] = '0';

  int prefix_size = 0;
  while (prefix[prefix_size] != '\0')
    ++prefix_size;
  int zeros = spec.precision > count ? spec.precision - count : 0;
  int blanks = spec.width - prefix_size - zeros - count;
  if (spec.zero && !spec.left && spec.precision < 0 && blanks > 0) {
    zeros = blanks;
    blanks = 0;
  }
  if (!spec.left)
    output.Pad(' ', blanks);
  for (int i = 0; i < prefix_size; ++i)
    output.Put(prefix[i]);
  output.Pad('0', zeros);
  while (count > 0)
    output.Put(digits[--count]);
  if (spec.left)
    output.Pad(' ', blanks);
}

// va_list is an array type, so a function can only take it wrapped.
struct Arguments {
  std::va_list list;

  int NextInt() { return va_arg(list, int); }
  std::int64_t NextSigned(Length length) {
    switch (length) {
    case Length::kChar:
      return static_cast<signed char>(va_arg(list, int));
    case Length::kShort:
      return static_cast<short>(va_arg(list, int));
    case Length::kInt:
      return va_arg(list, int);
    case Length::kLong:
      return va_arg(list, long);
    }
    return 0;
  }
  std::uint64_t NextUnsigned(Length length) {
    switch (length) {
    case Length::kChar:
      return static_cast<unsigned char>(va_arg(list, unsigned));
    case Length::kShort:
      return static_cast<unsigned short>(va_arg(list, unsigned));
    case Length::kInt:
      return va_arg(list, unsigned);
    case Length::kLong:
      return va_arg(list, unsigned long);
    }
    return 0;
  }
  const void* NextPointer() { return va_arg(list, const void*); }
};

Spec parse_spec(const char*& at, Arguments& arguments) {
  Spec spec;
  for (;; ++at) {
    if (*at == '-')
      spec.left = true;
    else if (*at == '0')
      spec.zero = true;
    else if (*at == '#')
      spec.prefix = true;
    else if (*at == '+')
      spec.plus = true;
    else
      break;
  }
  if (*at == '*') {
    ++at;
    spec.width = arguments.NextInt();
    if (spec.width < 0) {
      spec.left = true;
      spec.width = spec.width == INT32_MIN ? 0 : -spec.width;
    }
  } else {
    spec.width = parse_number(at);
  }
  if (*at == '.') {
    ++at;
    if (*at == '*') {
      ++at;
      spec.precision = arguments.NextInt();
    } else {
      spec.precision = parse_number(at);
    }
  }
  spec.length = parse_length(at);
  return spec;
}

void put_conversion(Output& output, char conversion, const Spec& spec,
                    Arguments& arguments) {
  switch (conversion) {
  case 's':
    put_text(output, spec, static_cast<const char*>(arguments.NextPointer()));
    break;
  case 'c': {
    char text[] = {static_cast<char>(arguments.NextInt()), '\0'};
    put_text(output, spec, text);
    break;
  }
  case 'd':
  case 'i': {
    auto value = arguments.NextSigned(spec.length);
    auto magnitude = static_cast<std::uint64_t>(value);
    put_number(output, spec, value < 0 ? -magnitude : magnitude, 10, false,
               value < 0 ? "-" : (spec.plus ? "+" : ""));
    break;
  }
  case 'u':
    put_number(output, spec, arguments.NextUnsigned(spec.length), 10, false,
               "");
    break;
  case 'x':
  case 'X': {
    auto value = arguments.NextUnsigned(spec.length);
    auto upper = conversion == 'X';
    put_number(output, spec, value, 16, upper,
               spec.prefix && value != 0 ? (upper ? "0X" : "0x") : "");
    break;
  }
  case 'p':
    put_number(output, spec,
               reinterpret_cast<std::uintptr_t>(arguments.NextPointer()), 16,
               false, "0x");
    break;
  case '%':
    output.Put('%');
    break;
  default:
    // The compiler checks formats, so this is a conversion we do not have.
    output.Put('%');
    output.Put(conversion);
    break;
  }
}

}  // namespace

std::size_t ebbrt::VFormatTo(std::span<char> buffer, const char* format,
                             std::va_list arguments) {
  Output output(buffer);
  Arguments rest;
  va_copy(rest.list, arguments);
  for (auto at = format; *at != '\0';) {
    if (*at != '%') {
      output.Put(*at++);
      continue;
    }
    ++at;
    auto spec = parse_spec(at, rest);
    if (*at == '\0')
      break;
    put_conversion(output, *at++, spec, rest);
  }
  va_end(rest.list);
  return output.Finish();
}

std::size_t ebbrt::FormatTo(std::span<char> buffer, const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  auto size = VFormatTo(buffer, format, arguments);
  va_end(arguments);
  return size;
}
