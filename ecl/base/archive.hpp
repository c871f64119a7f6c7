#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace ecl {

/// The state of something as bytes, both ways: `archive(a, b, c)` saves a, b and c, or loads them, in that order. So
/// one function says what the state is, and saving and loading cannot drift apart.
///
/// It takes numbers, other trivially copyable values, strings, vectors and optionals of such, and whatever has an
/// `archive(Archive&)` of its own. A vector must come back as long as it is: models and duals have their sizes from
/// construction. list() is for the others. Bytes are as in memory: an archive is read by the kind of machine that wrote
/// it. All loads check what is left before they allocate, and throw Error (io) where it does not fit.
class Archive {
 public:
  Archive() = default;  ///< to save into
  /// To load from. `name` is for messages.
  Archive(std::string bytes, std::string name) : bytes_(std::move(bytes)), name_(std::move(name)), loading_(true) {}

  bool loading() const { return loading_; }
  /// To save into: room for so many bytes.
  void reserve(std::size_t bytes) { bytes_.reserve(bytes); }
  /// What was saved so far.
  const std::string& bytes() const { return bytes_; }

  template <class... T>
  void operator()(T&... values) {
    (item(values), ...);
  }

  /// A vector or deque whose length is part of the state.
  template <class List>
  void list(List& values) {
    std::uint64_t size = values.size();
    item(size);
    // A length beyond what is left is no length.
    using T = typename List::value_type;
    constexpr bool kPlain = std::is_trivially_copyable_v<T> && !requires(T value, Archive a) { value.archive(a); };
    if (loading_) values.resize(checked(size, kPlain ? sizeof(T) : 1));
    elements(values);
  }

  /// After the last load: throws Error (io) if something is left.
  void finish() const;
  /// What was loaded makes no sense: throws Error (io).
  [[noreturn]] void fail(const std::string& what) const;

 private:
  template <class T>
  void item(T& value) {
    if constexpr (requires { value.archive(*this); }) {
      value.archive(*this);
    } else if constexpr (std::is_same_v<T, bool>) {
      std::uint8_t byte = value;
      raw(&byte, 1);
      value = byte != 0;
    } else {
      static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>, "give it an archive() of its own");
      raw(&value, sizeof value);
    }
  }

  template <class T, class Allocator>
  void item(std::vector<T, Allocator>& values) {
    std::uint64_t size = values.size();
    item(size);
    if (size != values.size())
      fail("holds " + std::to_string(size) + " values where " + std::to_string(values.size()) + " belong");
    elements(values);
  }

  template <class T>
  void item(std::optional<T>& value) {
    bool there = value.has_value();
    item(there);
    if (loading_) there ? static_cast<void>(value.emplace()) : value.reset();
    if (there) item(*value);
  }

  void item(std::string& text) {
    std::uint64_t size = text.size();
    item(size);
    if (loading_) text.resize(checked(size, 1));
    raw(text.data(), text.size());
  }

  template <class List>
  void elements(List& values) {
    using T = typename List::value_type;
    constexpr bool kPlain = std::is_trivially_copyable_v<T> && !std::is_same_v<T, bool>;
    if constexpr (
        kPlain && requires { values.data(); } && !requires(T value) { value.archive(*this); })
      raw(values.data(), values.size() * sizeof(T));
    else
      for (auto& value : values) item(value);
  }

  /// `count` as a size, if that many elements of at least `bytes` each may follow.
  std::size_t checked(std::uint64_t count, std::size_t bytes) const;
  void raw(void* data, std::size_t size);

  std::string bytes_;
  std::string name_;
  bool loading_ = false;
  std::size_t at_ = 0;
};

/// Writes an archive as a file, whole or not at all (write_atomically): magic, format version, CRC-32 of the rest, the
/// fingerprint (lines of text that say what the state belongs to), the bytes. Throws Error (io).
void save_archive(const std::string& path, std::string_view fingerprint, const Archive& archive, bool durable = true);

/// What such a file holds.
struct StoredArchive {
  std::string fingerprint;
  Archive state;
};

/// Reads it back. Throws Error: (usage) if there is no such file; (io) if it is no archive, of another format version,
/// truncated, too long or damaged.
StoredArchive read_archive(const std::string& path);
/// The same, if it has this fingerprint; else throws Error (usage), as require_fingerprint() does.
Archive load_archive(const std::string& path, std::string_view fingerprint);

/// The content of an archive file, as read_archive() and load_archive() read it; `path` is for messages.
StoredArchive parse_archive(std::string_view file, const std::string& path);
Archive parse_archive(std::string_view file, const std::string& path, std::string_view fingerprint);

/// Throws Error (usage) that names the first line in which `theirs`, of the file `path`, is not `ours`.
void require_fingerprint(const std::string& path, std::string_view theirs, std::string_view ours);

}  // namespace ecl
