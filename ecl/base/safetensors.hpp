#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

/// Named arrays of floats in one file, in the format safetensors: the length of a header (8 bytes, little-endian), the
/// header (JSON: of each array its type, shape and place), the values. `safetensors.numpy.load_file` reads it.
namespace ecl {

struct Tensor {
  std::string name;
  std::vector<std::size_t> shape;
  std::size_t size() const {
    std::size_t product = 1;
    for (const std::size_t extent : shape) product *= extent;
    return product;
  }
};

/// What such a file begins with; the values of `tensors` follow, as floats, one after the other. `metadata`: what else
/// readers may want to know.
std::string safetensors_header(const std::vector<Tensor>& tensors, const std::map<std::string, std::string>& metadata);

struct Safetensors {
  std::vector<Tensor> tensors;  ///< in the order of their values
  std::vector<float> values;    ///< of all, one after the other
};

/// Throws Error (usage) if there is no such file, Error (io) if it is damaged or holds anything but 32-bit floats.
Safetensors read_safetensors(const std::string& path, const std::string& advice = "check the path");

}  // namespace ecl
