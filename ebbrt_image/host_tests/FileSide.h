// All that a UC has on the file side, with consoles that are easy to tell
// apart, and what makes another such side of it: cloning, or bytes and back.
#ifndef EBBRT_HOST_TESTS_FILESIDE_H_
#define EBBRT_HOST_TESTS_FILESIDE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ArchiveImage.h"
#include "FakePages.h"
#include "files/CloneMap.h"
#include "files/DescriptorTable.h"
#include "files/FileSystem.h"
#include "files/StateReader.h"
#include "files/StateWriter.h"

// What a kernel makes for stdout and its like. It belongs to `owner`.
class FakeConsole final : public ebbrt::Descriptor {
 public:
  FakeConsole(int owner, std::uint8_t role)
      : Descriptor(Kind::kConsole, ebbrt::abi::kOpenReadWrite), owner_(owner),
        role_(role) {}
  int owner() const { return owner_; }
  std::uint8_t role() const { return role_; }
  ebbrt::Result<void> GetStat(ebbrt::abi::Stat& stat) const override {
    stat = {};
    return {};
  }

 private:
  int owner_;
  std::uint8_t role_;
};

class FakeConsoles final : public ebbrt::ConsoleFactory,
                           public ebbrt::ConsoleWriter,
                           public ebbrt::ConsoleReader {
 public:
  explicit FakeConsoles(int owner) : owner_(owner) {}

  ebbrt::RefPtr<ebbrt::Descriptor>
  CloneConsole(const ebbrt::Descriptor& source) override {
    return ebbrt::MakeRef<FakeConsole>(
        owner_, static_cast<const FakeConsole&>(source).role());
  }
  void WriteConsole(const ebbrt::Descriptor& source,
                    ebbrt::StateBuffer& body) override {
    body.Add8(static_cast<const FakeConsole&>(source).role());
  }
  ebbrt::RefPtr<ebbrt::Descriptor>
  ReadConsole(std::span<const std::byte> body) override {
    if (body.size() != 1)
      return nullptr;
    return ebbrt::MakeRef<FakeConsole>(owner_,
                                       std::to_integer<std::uint8_t>(body[0]));
  }

 private:
  int owner_;
};

class ByteSink final : public ebbrt::StateSink {
 public:
  void Write(std::span<const std::byte> bytes) override {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  std::vector<std::byte>& bytes() { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

class FileSide {
 public:
  static constexpr ebbrt::TmpStorage::Limits kLimits{40, 30};
  static constexpr int kDescriptors = 20;
  static constexpr std::string_view kExecutable = "/bin/python";

  static const ebbrt::Archive& archive() {
    static const auto kImage = ArchiveImage::FromFile(ARCHIVE_FIXTURE);
    static const auto kArchive = kImage.Open();
    return kArchive;
  }
  // Whatever was set last, so that sides can live through the same times.
  static std::uint64_t Now() { return now; }
  static inline std::uint64_t now = 1'000'000'000;
  static void Random(std::span<std::byte> bytes) {
    std::fill(bytes.begin(), bytes.end(), std::byte{'r'});
  }
  static ebbrt::RefPtr<ebbrt::TmpStorage> MakeStorage(FakePages& pages) {
    return ebbrt::MakeRef<ebbrt::TmpStorage>(pages, Now, kLimits);
  }

  explicit FileSide(FakePages& pages)
      : files(ebbrt::MakeRef<ebbrt::FileSystem>(archive(), MakeStorage(pages),
                                                Random, kExecutable)),
        directory(files->root()), table(kDescriptors) {}

  // The same again, for UC `owner`. Only reads this one.
  std::unique_ptr<FileSide> Clone(FakePages& pages, int owner = 0) const {
    FakeConsoles consoles(owner);
    ebbrt::CloneMap map(consoles);
    auto system = files->Clone(map, MakeStorage(pages));
    std::unique_ptr<FileSide> clone(
        new FileSide(std::move(system), map.Clone(directory)));
    clone->table.CloneFrom(table, map);
    return clone;
  }

  std::vector<std::byte> Save() const {
    FakeConsoles consoles(0);
    ebbrt::StateWriter writer(*files, directory, table, consoles);
    ByteSink sink;
    writer.Emit(sink);
    kbugon(sink.bytes().size() != writer.size(), "a wrong size was announced");
    return std::move(sink.bytes());
  }

  // Null, and why, if the bytes are refused.
  static std::unique_ptr<FileSide> Load(FakePages& pages,
                                        std::span<const std::byte> bytes,
                                        int owner = 0,
                                        ebbrt::Errno* why = nullptr) {
    FakeConsoles consoles(owner);
    ebbrt::StateReader reader({archive(), MakeStorage(pages), Random,
                               kExecutable, consoles, kDescriptors});
    auto state = reader.Read(bytes);
    if (!state.ok()) {
      if (why != nullptr)
        *why = state.error();
      return nullptr;
    }
    std::unique_ptr<FileSide> side(
        new FileSide(std::move(state->files), std::move(state->directory)));
    side->table = std::move(state->descriptors);
    return side;
  }

  ebbrt::RefPtr<ebbrt::Descriptor> Get(int number) const {
    auto found = table.Get(number);
    return found.ok() ? std::move(found).value() : nullptr;
  }
  // As T; the caller knows the kind.
  template <class T> T& As(int number) const {
    return static_cast<T&>(*Get(number));
  }
  int Add(ebbrt::RefPtr<ebbrt::Descriptor> descriptor,
          bool close_on_exec = false) {
    auto number = table.Allocate(std::move(descriptor), close_on_exec);
    return number.ok() ? *number : -1;
  }
  int Open(std::string_view path, int flags) {
    auto opened = files->Open(directory, path, flags, 0644);
    return opened.ok() ? Add(std::move(opened).value()) : -1;
  }

  ebbrt::RefPtr<ebbrt::FileSystem> files;
  ebbrt::Place directory;
  ebbrt::DescriptorTable table;

 private:
  FileSide(ebbrt::RefPtr<ebbrt::FileSystem> system, ebbrt::Place place)
      : files(std::move(system)), directory(std::move(place)),
        table(kDescriptors) {}
};

#endif  // EBBRT_HOST_TESTS_FILESIDE_H_
