#include "ecl/base/zip.hpp"

#include <limits>

#include "ecl/base/check.hpp"
#include "ecl/base/checksum.hpp"

namespace ecl {
namespace {

constexpr std::uint16_t kVersion = 20, kNames = 1 << 11;  // 2.0 reads it; names are UTF-8
constexpr std::uint16_t kMidnight = 0, kFirstDay = 1 << 5 | 1;

/// Numbers as the format has them: little-endian.
void put16(std::string& text, std::uint16_t number) {
  for (int shift = 0; shift < 16; shift += 8) text += static_cast<char>(number >> shift & 0xFF);
}
void put32(std::string& text, std::uint32_t number) {
  for (int shift = 0; shift < 32; shift += 8) text += static_cast<char>(number >> shift & 0xFF);
}

/// What stands both before a member and in the directory.
std::string description(const std::string& name, std::uint32_t checksum, std::uint32_t size) {
  std::string text;
  for (const std::uint16_t number : {kVersion, kNames, std::uint16_t{0}, kMidnight, kFirstDay}) put16(text, number);
  for (const std::uint32_t number : {checksum, size, size}) put32(text, number);
  put16(text, static_cast<std::uint16_t>(name.size()));
  put16(text, 0);  // no extra field
  return text;
}

}  // namespace

void ZipFile::add(const std::string& name, std::span<const std::string_view> pieces) {
  std::uint32_t sum = 0;
  std::uint64_t size = 0;
  for (const std::string_view piece : pieces) {
    sum = checksum(std::as_bytes(std::span(piece)), sum);
    size += piece.size();
  }
  constexpr std::uint64_t kLimit = std::numeric_limits<std::uint32_t>::max(), kHeaders = 1 << 16;
  if (written_ + size + directory_.size() + 2 * name.size() + kHeaders > kLimit ||
      members_ == std::numeric_limits<std::uint16_t>::max())
    throw Error(
        "'" + path_ + "' would be larger than 4 GB, or of more than 65,535 parts: more than a zip archive holds",
        Exit::io);

  const std::string told = description(name, sum, static_cast<std::uint32_t>(size));
  directory_ += "PK\x01\x02";
  put16(directory_, kVersion);  // that made it
  directory_ += told;
  for (int none = 0; none < 3; ++none) put16(directory_, 0);  // comment, disk, attributes
  put32(directory_, 0);
  put32(directory_, static_cast<std::uint32_t>(written_));
  directory_ += name;

  const std::string header = "PK\x03\x04" + told + name;
  file_.write(header);
  for (const std::string_view piece : pieces) file_.write(piece);
  written_ += header.size() + size;
  ++members_;
}

void ZipFile::finish() {
  std::string end = "PK\x05\x06";
  put32(end, 0);  // this disk, and the one with the directory
  put16(end, members_);
  put16(end, members_);
  put32(end, static_cast<std::uint32_t>(directory_.size()));
  put32(end, static_cast<std::uint32_t>(written_));
  put16(end, 0);  // no comment
  file_.write(directory_);
  file_.write(end);
  file_.finish();
}

}  // namespace ecl
