#pragma once

#include <functional>
#include <hdf5.h>
#include <stdexcept>
#include <string>
#include <vector>

/// Writes HDF5 files for tests.
namespace ecl::test {

class Hdf5File {
 public:
  explicit Hdf5File(const std::string& path)
      : id_(checked(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT))) {}
  ~Hdf5File() { H5Fclose(id_); }
  Hdf5File(const Hdf5File&) = delete;
  Hdf5File& operator=(const Hdf5File&) = delete;

  /// `memory`: of `values`; `stored`: in the file. With `chunk` packed by gzip, a chunk of that shape at a time.
  void write(const std::string& name, hid_t stored, hid_t memory, const std::vector<hsize_t>& shape, const void* values,
             const std::vector<hsize_t>& chunk = {}) const {
    const hid_t space = checked(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr)),
                groups = checked(H5Pcreate(H5P_LINK_CREATE)), properties = checked(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_create_intermediate_group(groups, 1);
    if (!chunk.empty()) {
      checked(H5Pset_chunk(properties, static_cast<int>(chunk.size()), chunk.data()));
      checked(H5Pset_deflate(properties, 4));
    }
    const hid_t set = checked(H5Dcreate2(id_, name.c_str(), stored, space, groups, properties, H5P_DEFAULT));
    checked(H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values));
    H5Dclose(set), H5Pclose(properties), H5Pclose(groups), H5Sclose(space);
  }
  void write(const std::string& name, hid_t stored, const std::vector<hsize_t>& shape,
             const std::vector<double>& values, const std::vector<hsize_t>& chunk = {}) const {
    write(name, stored, H5T_NATIVE_DOUBLE, shape, values.data(), chunk);
  }
  /// `width` 0: texts of any length, as h5py writes str; else of so many bytes.
  void write(const std::string& name, const std::vector<std::string>& texts, std::size_t width = 0) const {
    const hid_t type = checked(H5Tcopy(H5T_C_S1));
    checked(H5Tset_size(type, width == 0 ? H5T_VARIABLE : width));
    std::vector<const char*> pointers;
    std::string bytes;
    for (const std::string& text : texts) {
      pointers.push_back(text.c_str());
      bytes += text.substr(0, width) + std::string(width - std::min(width, text.size()), '\0');
    }
    write(name, type, type, {texts.size()}, width == 0 ? static_cast<const void*>(pointers.data()) : bytes.data());
    H5Tclose(type);
  }
  /// Where in the file the chunk with that first row lies: byte, and number of bytes.
  std::pair<std::size_t, std::size_t> chunk_at(const std::string& name, hsize_t row, std::size_t rank) const {
    std::vector<hsize_t> place(rank, 0);
    place[0] = row;
    const hid_t set = checked(H5Dopen2(id_, name.c_str(), H5P_DEFAULT));
    unsigned filters = 0;
    haddr_t byte = 0;
    hsize_t size = 0;
    checked(H5Dget_chunk_info_by_coord(set, place.data(), &filters, &byte, &size));
    H5Dclose(set);
    return {byte, size};
  }

 private:
  template <class Id>
  static Id checked(Id id) {
    if (id < 0) throw std::runtime_error("HDF5 refuses to write a test's file");
    return id;
  }

  hid_t id_;
};

}  // namespace ecl::test
