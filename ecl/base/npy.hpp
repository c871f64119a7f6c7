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
  std::string type;       ///< as "<f4"
  std::size_t width = 0;  ///< bytes of a value
  std::vector<std::size_t> shape;
  std::size_t offset = 0;  ///< of the data, in bytes

  const std::byte* data() const { return file->bytes().data() + offset; }
  char kind() const { return type[1]; }  ///< f, i, u, b (truth): numbers; U, S: text
  bool is_text() const { return kind() == 'U' || kind() == 'S'; }
};

/// Throws Error (usage) if there is no such file, Error (io) if it is no array, in Fortran's order, of a type or a byte
/// order that is not read, or of another length than it says.
NpyArray open_npy(const std::string& path, const std::string& advice = "check the path");

/// Values first .. first+count-1 of an array of numbers, in the order of the file.
void read_npy(const NpyArray& array, std::size_t first, std::size_t count, float* out);
void read_npy(const NpyArray& array, std::size_t first, std::size_t count, double* out);
/// The same of whole numbers. Throws Error (io) for one beyond 63 bits.
void read_npy(const NpyArray& array, std::size_t first, std::size_t count, std::int64_t* out);
/// Value `at` of an array of text, as UTF-8. Throws Error (io) where it is none.
std::string read_npy_text(const NpyArray& array, std::size_t at);

}  // namespace ecl
