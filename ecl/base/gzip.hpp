#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ecl {

using Bytes = std::vector<std::uint8_t>;

/// The content of a file, unpacked if it is gzip (told by its first two bytes, not by its name).
///
/// `advice` ends the message for a file that is not there: what the user should do. Throws Error (usage) if the path
/// does not exist or is a directory, Error (io) if it cannot be read, is truncated or damaged, has bytes after the
/// gzip stream, or holds more than 8 GiB unpacked.
Bytes read_file(const std::string& path, const std::string& advice = "check the path");

/// Unpacks gzip data in memory; several members in a row are joined, as gzip itself does. `name` is for messages.
/// Throws Error (io) as above.
Bytes gunzip(std::span<const std::uint8_t> packed, const std::string& name);

}  // namespace ecl
