// Takes a path apart, component by component.
#ifndef EBBRT_FILES_PATH_H_
#define EBBRT_FILES_PATH_H_

#include <algorithm>
#include <string_view>

#include "files/Abi.h"

namespace ebbrt {

// Can a directory have an entry of this name?
inline bool IsFileName(std::string_view name) {
  if (name.empty() || name.size() > abi::kMaxName)
    return false;
  if (name == "." || name == "..")
    return false;
  return std::all_of(name.begin(), name.end(), [](char character) {
    return character != '/' && character != '\0';
  });
}

class PathReader {
 public:
  explicit PathReader(std::string_view path)
      : rest_(path), absolute_(!path.empty() && path.front() == '/'),
        must_be_directory_(!path.empty() && path.back() == '/') {
    skip_slashes();
  }

  bool absolute() const { return absolute_; }
  // The path ends in a slash, so it can only mean a directory.
  bool must_be_directory() const { return must_be_directory_; }
  // No component is left.
  bool done() const { return rest_.empty(); }

  // The next component; empty when there is none.
  std::string_view Next() {
    std::size_t size = 0;
    while (size < rest_.size() && rest_[size] != '/')
      ++size;
    std::string_view component(rest_.data(), size);
    rest_.remove_prefix(size);
    skip_slashes();
    return component;
  }

 private:
  void skip_slashes() {
    while (!rest_.empty() && rest_.front() == '/')
      rest_.remove_prefix(1);
  }

  std::string_view rest_;
  bool absolute_;
  bool must_be_directory_;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_PATH_H_
