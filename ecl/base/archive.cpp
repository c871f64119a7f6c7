#include "ecl/base/archive.hpp"

#include <algorithm>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/checksum.hpp"
#include "ecl/base/files.hpp"
#include "ecl/base/gzip.hpp"

namespace ecl {
namespace {

constexpr std::string_view kMagic =
    "ecl\x89"
    "ckp\n";
constexpr std::uint32_t kFormat = 4;

struct Header {
  char magic[8];
  std::uint32_t format, crc;
};

std::string_view next_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

}  // namespace

void require_fingerprint(const std::string& path, std::string_view theirs, std::string_view ours) {
  if (theirs == ours) return;
  while (!theirs.empty() || !ours.empty()) {
    const std::string_view there = next_line(theirs), here = next_line(ours);
    if (there != here)
      throw Error(path + " belongs to another run: '" + std::string(there) + "' there, '" + std::string(here) +
                  "' here; resume it as it was started, with the data as they were, or start a new run in another "
                  "--out");
  }
  throw Error(path + " belongs to another run");
}

void Archive::finish() const {
  if (loading_ && at_ != bytes_.size()) fail("holds more than belongs there");
}

void Archive::fail(const std::string& what) const {
  throw Error(name_ + " " + what + ": it is damaged, or another version of ecl wrote it", Exit::io);
}

std::size_t Archive::checked(std::uint64_t count, std::size_t bytes) const {
  if (count > (bytes_.size() - at_) / bytes) fail("ends too early");
  return static_cast<std::size_t>(count);
}

void Archive::raw(void* data, std::size_t size) {
  if (!loading_) {
    bytes_.append(static_cast<const char*>(data), size);
    return;
  }
  checked(size, 1);
  if (size > 0) std::memcpy(data, bytes_.data() + at_, size);
  at_ += size;
}

void save_archive(const std::string& path, std::string_view fingerprint, const Archive& archive, bool durable) {
  const std::uint64_t length = fingerprint.size();
  Header header{};
  std::string_view pieces[] = {{reinterpret_cast<const char*>(&header), sizeof header},
                               {reinterpret_cast<const char*>(&length), sizeof length},
                               fingerprint,
                               archive.bytes()};
  std::copy(kMagic.begin(), kMagic.end(), header.magic);
  header.format = kFormat;
  for (const std::string_view piece : std::span(pieces).subspan(1))
    header.crc = checksum(std::as_bytes(std::span(piece)), header.crc);
  write_atomically(path, pieces, durable);
}

StoredArchive parse_archive(std::string_view file, const std::string& path) {
  Header header;
  std::uint64_t length = 0;
  if (file.size() < sizeof header + sizeof length) throw Error(path + " is truncated", Exit::io);
  std::memcpy(&header, file.data(), sizeof header);
  if (!std::equal(kMagic.begin(), kMagic.end(), header.magic)) throw Error(path + " is no checkpoint of ecl", Exit::io);
  if (header.format != kFormat)
    throw Error(path + " has checkpoint format " + std::to_string(header.format) + ", this ecl reads format " +
                    std::to_string(kFormat) + "; resume with the version that wrote it",
                Exit::io);
  file.remove_prefix(sizeof header);
  if (checksum(std::as_bytes(std::span(file))) != header.crc)
    throw Error(path + " is damaged: its checksum is not that of its content", Exit::io);
  std::memcpy(&length, file.data(), sizeof length);
  file.remove_prefix(sizeof length);
  if (length > file.size()) throw Error(path + " is damaged: it ends too early", Exit::io);
  return {std::string(file.substr(0, length)), {std::string(file.substr(length)), path}};
}

Archive parse_archive(std::string_view file, const std::string& path, std::string_view fingerprint) {
  StoredArchive stored = parse_archive(file, path);
  require_fingerprint(path, stored.fingerprint, fingerprint);
  return std::move(stored.state);
}

StoredArchive read_archive(const std::string& path) {
  const Bytes file = read_file(path, "a checkpoint needs the files of all nodes");
  return parse_archive({reinterpret_cast<const char*>(file.data()), file.size()}, path);
}

Archive load_archive(const std::string& path, std::string_view fingerprint) {
  StoredArchive stored = read_archive(path);
  require_fingerprint(path, stored.fingerprint, fingerprint);
  return std::move(stored.state);
}

}  // namespace ecl
