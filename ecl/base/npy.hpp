#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ecl/base/mapped_file.hpp"

/// Arrays as NumPy keeps them in files: `numpy.load` reads them, `numpy.save` writes them.
namespace ecl {

/// What such a file begins with. `type`: NumPy's name, "<f4" for floats. The data follow, row-major.
std::string npy_header(const std::string& type, std::span<const std::size_t> shape);

/// An array in a file, row-major.
struct NpyArray {
  std::shared_ptr<const MappedFile> file;
  std::string type;  ///< as "<f4"
  std::vector<std::size_t> shape;
  std::size_t offset = 0;  ///< of the data, in bytes

  const std::byte* data() const { return file->bytes().data() + offset; }
};

/// Throws Error (usage) if there is no such file, Error (io) if it is no array, in Fortran's order or of another length
/// than it says.
NpyArray open_npy(const std::string& path, const std::string& advice = "check the path");

/// The numbers of a 1-d array, of any type that is read, as floats. Throws Error (io) if it is another one, or one of
/// them is no finite float.
std::vector<float> read_npy_floats(const std::string& path, const std::string& advice = "check the path");

/// The whole numbers of a 1-d array, each in -2^31 .. 2^31 - 1. Throws Error (io) if it is another one.
std::vector<std::int32_t> read_npy_integers(const std::string& path, const std::string& advice = "check the path");

}  // namespace ecl
