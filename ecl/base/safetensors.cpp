#include "ecl/base/safetensors.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/mapped_file.hpp"

namespace ecl {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kMetadata = "__metadata__";

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error("'" + path + "' " + what + "; it is damaged, or not in the format safetensors", Exit::io);
}

struct Place {
  Tensor tensor;
  std::size_t begin, end;  ///< in bytes
};

Place place_of(const std::string& path, const std::string& name, const Json& entry) {
  if (entry.at("dtype") != "F32") fail(path, "holds '" + name + "' as " + entry.at("dtype").dump() + ", not as floats");
  const auto offsets = entry.at("data_offsets").get<std::vector<std::size_t>>();
  Place place{{name, entry.at("shape").get<std::vector<std::size_t>>()}, offsets.at(0), offsets.at(1)};
  if (place.end < place.begin || place.end - place.begin != place.tensor.size() * sizeof(float))
    fail(path, "gives '" + name + "' another length than its shape");
  return place;
}

}  // namespace

std::string safetensors_header(const std::vector<Tensor>& tensors, const std::map<std::string, std::string>& metadata) {
  Json json = Json::object();
  if (!metadata.empty()) json[kMetadata] = metadata;
  std::size_t at = 0;
  for (const Tensor& tensor : tensors) {
    const std::size_t end = at + tensor.size() * sizeof(float);
    json[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = json.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the values begin at a multiple of 8 bytes
  std::uint64_t size = text.size();
  std::string header;
  for (int byte = 0; byte < 8; ++byte, size >>= 8) header += static_cast<char>(size & 0xFF);
  return header + text;
}

Safetensors read_safetensors(const std::string& path, const std::string& advice) {
  const MappedFile file(path, advice);
  const auto bytes = file.bytes();
  std::uint64_t header = 0;
  if (bytes.size() < sizeof header) fail(path, "has " + std::to_string(bytes.size()) + " bytes");
  for (int byte = 7; byte >= 0; --byte) header = header << 8 | std::to_integer<std::uint64_t>(bytes[byte]);
  if (header > bytes.size() - sizeof header) fail(path, "is shorter than its header says");
  const auto* text = reinterpret_cast<const char*>(bytes.data()) + sizeof header;
  std::vector<Place> places;
  try {
    const Json json = Json::parse(text, text + header);
    for (const auto& [name, entry] : json.items())
      if (name != kMetadata) places.push_back(place_of(path, name, entry));
  } catch (const std::exception& error) {
    if (dynamic_cast<const Error*>(&error)) throw;
    fail(path, "has a header that makes no sense");
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.begin < b.begin; });
  const auto values = bytes.subspan(sizeof header + header);
  Safetensors read;
  std::size_t at = 0;
  for (Place& place : places) {
    if (place.begin != at) fail(path, "has a gap before '" + place.tensor.name + "'");
    at = place.end;
    read.tensors.push_back(std::move(place.tensor));
  }
  if (at != values.size())
    fail(path, "has " + std::to_string(values.size()) + " bytes of values where its header says " + std::to_string(at));
  read.values.resize(at / sizeof(float));
  if (at > 0) std::memcpy(read.values.data(), values.data(), at);
  return read;
}

}  // namespace ecl
