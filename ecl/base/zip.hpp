#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ecl/base/files.hpp"

namespace ecl {

/// An archive in the format zip, whose members are not compressed: what NumPy's .npz files are. The same members give
/// the same bytes: all are dated 1980.
class ZipFile {
 public:
  /// Throws Error (io), as the others do.
  explicit ZipFile(const std::string& path) : path_(path), file_(path) {}

  /// A member whose content is the pieces, one after the other. Throws Error beyond what such archives hold, 4 GB.
  void add(const std::string& name, std::span<const std::string_view> pieces);
  /// The archive is there; without it nothing is left.
  void finish();

 private:
  std::string path_;
  AtomicFile file_;
  std::string directory_;  ///< what is said of the members at the end
  std::uint64_t written_ = 0;
  std::uint16_t members_ = 0;
};

}  // namespace ecl
