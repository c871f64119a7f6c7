// HDF5 by its C library, one process reading alone.
#include <algorithm>
#include <array>
#include <filesystem>
#include <hdf5.h>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/text_lines.hpp"
#include "ecl/data/datasets/array_table.hpp"

namespace ecl {
namespace {

/// Something of the library's that is to be closed.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&&) = delete;
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

Handle open_hdf5(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    throw Error("there is no file '" + path + "'; --data names an HDF5 file");
  if (std::filesystem::is_directory(path, ignored))
    throw Error("'" + path + "' is a directory; name the HDF5 file in it");
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // what went wrong is said here
  if (H5Fis_hdf5(path.c_str()) <= 0) throw Error("'" + path + "' is no HDF5 file, or cannot be read", Exit::io);
  Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (file < 0)
    throw Error(
        "'" + path +
            "' cannot be opened: it is truncated, or another program is writing to it; where the file system has no "
            "locks say HDF5_USE_FILE_LOCKING=FALSE",
        Exit::io);
  return file;
}

/// "float32", "int64", "text", or what else there is.
std::string name_of_type(hid_t type) {
  const std::string bits = std::to_string(8 * H5Tget_size(type));
  switch (H5Tget_class(type)) {
    case H5T_FLOAT:
      return "float" + bits;
    case H5T_INTEGER:
      return (H5Tget_sign(type) == H5T_SGN_NONE ? "uint" : "int") + bits;
    case H5T_ENUM:
      return "named values of " + bits + " bits";
    case H5T_STRING:
      return "text";
    case H5T_COMPOUND:
      return "records of several fields";
    default:
      return "something else than numbers or text";
  }
}

/// A data set of a file, and what it says of itself.
class Hdf5Array {
 public:
  Hdf5Array(const std::string& path, std::string name, Handle set)
      : place_("'" + path + "' " + name),
        name_(std::move(name)),
        set_(std::move(set)),
        type_(H5Dget_type(set_), H5Tclose) {
    const Handle space(H5Dget_space(set_), H5Sclose);
    const int rank = H5Sget_simple_extent_ndims(space);
    shape_.resize(std::max(rank, 0));
    if (rank > 0) H5Sget_simple_extent_dims(space, shape_.data(), nullptr);
  }

  const std::string& place() const { return place_; }  ///< file and data set, for messages
  const std::vector<hsize_t>& shape() const { return shape_; }
  hid_t set() const { return set_; }
  hid_t type() const { return type_; }
  bool is_text() const { return H5Tget_class(type_) == H5T_STRING; }
  bool is_real() const { return H5Tget_class(type_) == H5T_FLOAT; }
  bool is_unsigned() const { return H5Tget_class(type_) == H5T_INTEGER && H5Tget_sign(type_) == H5T_SGN_NONE; }
  bool is_number() const {
    const H5T_class_t kind = H5Tget_class(type_);
    return is_real() || kind == H5T_INTEGER || kind == H5T_ENUM;
  }
  /// "/x (100 x 4, float32)"
  std::string description() const {
    std::string text;
    for (const hsize_t size : shape_) text += (text.empty() ? "" : " x ") + std::to_string(size);
    return name_ + " (" + (shape_.empty() ? "one value" : text) + ", " + name_of_type(type_) + ")";
  }

  /// All of it, or rows first .. first+count-1. Throws Error.
  void read(hid_t memory_type, void* out) const {
    check(H5Dread(set_, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out));
  }
  void read(hid_t memory_type, hsize_t first, hsize_t count, void* out) const {
    std::vector<hsize_t> start(shape_.size(), 0), size = shape_;
    start[0] = first, size[0] = count;
    const Handle in_file(H5Dget_space(set_), H5Sclose),
        in_memory(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr), H5Sclose);
    check(H5Sselect_hyperslab(in_file, H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr));
    check(H5Dread(set_, memory_type, in_memory, in_file, H5P_DEFAULT, out));
  }

 private:
  void check(herr_t result) const {
    if (result >= 0) return;
    const Handle properties(H5Dget_create_plist(set_), H5Pclose);
    for (int n = 0; n < H5Pget_nfilters(properties); ++n) {
      std::array<char, 64> filter{};
      unsigned flags = 0, config = 0;
      std::size_t values = 0;
      const H5Z_filter_t id =
          H5Pget_filter2(properties, n, &flags, &values, nullptr, filter.size() - 1, filter.data(), &config);
      if (H5Zfilter_avail(id) <= 0)
        throw Error(place_ + " is packed by " + ecl::quoted(filter[0] ? filter.data() : "an unnamed filter") +
                        ", which this machine's HDF5 lacks; h5repack -f GZIP=4 packs it otherwise",
                    Exit::io);
    }
    throw Error(place_ + " cannot be read: the file is damaged there", Exit::io);
  }

  std::string place_, name_;
  Handle set_, type_;
  std::vector<hsize_t> shape_;
};

/// The data set of that name, which keeps the file open; none if there is no such thing.
std::optional<Hdf5Array> find_array(hid_t file, const std::string& path, const std::string& name, hid_t access) {
  Handle object(H5Oopen(file, name.c_str(), H5P_DEFAULT), H5Oclose);
  if (object < 0 || H5Iget_type(object) != H5I_DATASET) return std::nullopt;
  return Hdf5Array(path, name, Handle(H5Dopen2(file, name.c_str(), access), H5Dclose));
}

/// What data sets the file has, for messages.
std::string contents(hid_t file, const std::string& path) {
  struct Found {
    const std::string& path;
    std::vector<std::string> arrays;
  } found{path, {}};
  const auto look = [](hid_t group, const char* name, const H5L_info_t*, void* to) -> herr_t {
    Found& list = *static_cast<Found*>(to);
    if (const auto array = find_array(group, list.path, name, H5P_DEFAULT)) list.arrays.push_back(array->description());
    return 0;
  };
  H5Lvisit(file, H5_INDEX_NAME, H5_ITER_NATIVE, look, &found);
  constexpr std::size_t kMost = 20;
  std::string text;
  for (std::size_t n = 0; n < std::min(found.arrays.size(), kMost); ++n) text += (n ? ", " : "") + found.arrays[n];
  if (found.arrays.size() > kMost) text += ", ... (" + std::to_string(found.arrays.size()) + " in all)";
  return found.arrays.empty() ? "it has no data set" : "it has " + text;
}

Hdf5Array open_array(hid_t file, const std::string& path, const std::string& name, const std::string& parameter) {
  if (auto array = find_array(file, path, name, H5P_DEFAULT)) return std::move(*array);
  throw Error("'" + path + "' has no data set " + ecl::quoted(name) + " for the " + parameter + " (hdf5:" + parameter +
              "=NAME); " + contents(file, path));
}

class Hdf5Rows final : public ArrayRows {
 public:
  Hdf5Rows(std::string path, Hdf5Array array)
      : ArrayRows(array.place(), array.shape()[0], array.shape()[1]), path_(std::move(path)), array_(std::move(array)) {
    const Handle properties(H5Dget_create_plist(array_.set()), H5Pclose);
    std::array<hsize_t, 2> chunk{};
    if (H5Pget_layout(properties) == H5D_CHUNKED && H5Pget_chunk(properties, 2, chunk.data()) == 2)
      stride_ = static_cast<int>(std::min<hsize_t>(chunk[0], 1 << 20));
  }

  /// Opens it so that a band of chunks, those that hold a row, are unpacked once while it is gone through.
  static std::unique_ptr<ArrayRows> open(hid_t file, const std::string& path, const std::string& name) {
    const Hdf5Array array = open_array(file, path, name, "features");
    const std::string what = "'" + path + "' " + array.description() + ": ";
    if (!array.is_number())
      throw Error(what + "features are numbers; text is read from a csv file, with categorical=auto", Exit::io);
    if (array.shape().size() != 2)
      throw Error(
          what + "a row of features for each sample is wanted, n x d: .reshape(len(x), -1) before it is written",
          Exit::io);
    const Handle access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
    set_cache(access, array);
    return std::make_unique<Hdf5Rows>(path, std::move(*find_array(file, path, name, access)));
  }

  void read(std::size_t first, std::size_t count, float* out) const override {
    array_.read(H5T_NATIVE_FLOAT, first, count, out);
  }
  int stride() const override { return stride_; }

  std::optional<MappedRows> mapped() const override {
    const haddr_t offset = H5Dget_offset(array_.set());
    if (offset == HADDR_UNDEF || offset % alignof(float) != 0 || H5Tequal(array_.type(), H5T_IEEE_F32LE) <= 0)
      return std::nullopt;
    MappedRows rows;
    rows.features = features(), rows.offset = offset;
    rows.file = std::make_shared<MappedFile>(path_);
    if (rows.file->bytes().size() < offset + static_cast<std::uint64_t>(size()) * features() * sizeof(float))
      return std::nullopt;
    return rows;
  }

 private:
  static void set_cache(hid_t access, const Hdf5Array& array) {
    const Handle properties(H5Dget_create_plist(array.set()), H5Pclose);
    std::array<hsize_t, 2> chunk{};
    if (H5Pget_layout(properties) != H5D_CHUNKED || H5Pget_chunk(properties, 2, chunk.data()) != 2) return;
    const hsize_t chunks = (array.shape()[1] + chunk[1] - 1) / chunk[1];
    const std::size_t bytes = chunks * chunk[0] * chunk[1] * H5Tget_size(array.type());
    H5Pset_chunk_cache(access, 4 * chunks + 521, std::max<std::size_t>(bytes, 1 << 20), 1.0);
  }

  std::string path_;
  Hdf5Array array_;
  int stride_ = 16;  // a call costs about as much
};

std::vector<std::string> read_texts(const Hdf5Array& array) {
  const std::size_t count = array.shape()[0];
  std::vector<std::string> texts;
  texts.reserve(count);
  if (H5Tis_variable_str(array.type()) > 0) {
    std::vector<char*> values(count);
    array.read(array.type(), values.data());
    for (const char* value : values) texts.emplace_back(value ? value : "");
    const Handle space(H5Dget_space(array.set()), H5Sclose);
    H5Dvlen_reclaim(array.type(), space, H5P_DEFAULT, values.data());
  } else {
    const std::size_t width = H5Tget_size(array.type());
    const bool blanks = H5Tget_strpad(array.type()) == H5T_STR_SPACEPAD;
    std::string values(count * width, '\0');
    array.read(array.type(), values.data());
    for (std::size_t row = 0; row < count; ++row) {
      std::string text = values.substr(row * width, width);
      text.resize(std::min(text.find('\0'), text.size()));
      if (blanks) text.resize(text.find_last_not_of(' ') + 1);
      texts.push_back(std::move(text));
    }
  }
  for (std::size_t row = 0; row < count; ++row)
    if (!is_utf8(texts[row])) throw Error(array.place() + "[" + std::to_string(row) + "] is not UTF-8", Exit::io);
  return texts;
}

ArrayColumn read_column(const Hdf5Array& array, const ArrayRows& rows, const std::string& path) {
  const std::string what = "'" + path + "' " + array.description() + ": ";
  if (array.shape().size() != 1)
    throw Error(what +
                    "one value for each row is wanted: .reshape(-1), or of a column for each class .argmax(1), before "
                    "it is written",
                Exit::io);
  const std::size_t count = array.shape()[0];
  if (count != rows.size())
    throw Error(array.place() + " has " + std::to_string(count) + " values, and " + rows.place() + " has " +
                    std::to_string(rows.size()) + " rows",
                Exit::io);
  ArrayColumn column{array.place(), {}, {}, {}};
  if (array.is_text()) {
    column.text = read_texts(array);
  } else if (!array.is_number()) {
    throw Error(what + "numbers or texts are wanted", Exit::io);
  } else if (array.is_real()) {
    column.real.resize(count);
    array.read(H5T_NATIVE_DOUBLE, column.real.data());
  } else {
    column.whole.resize(count);
    array.read(array.is_unsigned() ? H5T_NATIVE_UINT64 : H5T_NATIVE_INT64, column.whole.data());
    if (array.is_unsigned() && std::any_of(column.whole.begin(), column.whole.end(), [](auto x) { return x < 0; }))
      throw Error(array.place() + " holds a number beyond 63 bits", Exit::io);
  }
  return column;
}

}  // namespace

ArrayTable open_hdf5_table(const std::string& path, const Hdf5Names& names, ArrayParts parts) {
  ArrayTable table{.source = path, .rows = {}, .labels = {}, .groups = {}, .weights = {}, .schema = {}};
  const Handle file = open_hdf5(path);
  table.rows = Hdf5Rows::open(file, path, names.features);
  table.schema.label = names.labels;
  if (parts == ArrayParts::features) return table;
  table.labels = read_column(open_array(file, path, names.labels, "labels"), *table.rows, path);
  if (names.weighted || find_array(file, path, names.weights, H5P_DEFAULT)) {
    table.weights = read_column(open_array(file, path, names.weights, "weights"), *table.rows, path);
    table.schema.weight = names.weights;
  }
  if (parts == ArrayParts::labels) return table;
  if (names.grouped || find_array(file, path, names.groups, H5P_DEFAULT))
    table.groups = read_column(open_array(file, path, names.groups, "groups"), *table.rows, path);
  return table;
}

}  // namespace ecl
