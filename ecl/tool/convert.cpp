#include "ecl/tool/convert.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "ecl/base/files.hpp"
#include "ecl/base/npy.hpp"
#include "ecl/contracts/dataset.hpp"
#include "ecl/tool/parse.hpp"

namespace ecl {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;

/// `type`: NumPy's name of the numbers'.
template <class Number>
void write_numbers(const std::string& path, const std::string& type, const std::vector<Number>& numbers) {
  const std::size_t count = numbers.size();
  const std::string header = npy_header(type, {&count, 1});
  const std::string_view pieces[] = {header,
                                     {reinterpret_cast<const char*>(numbers.data()), count * sizeof numbers[0]}};
  write_atomically(path, pieces);
}

/// Labels last: a folder without them is none.
void write_beside(const std::string& folder, const TrainTest& data) {
  const Dataset& table = data.train;
  const Schema& schema = table.schema;
  const bool grouped = !table.columns.empty();
  if (!table.weights().empty()) write_numbers(folder + "/weights.npy", "<f4", table.weights());
  if (grouped) write_numbers(folder + "/groups.npy", "<i4", table.columns.begin()->second);
  const nlohmann::ordered_json json = {{"columns", schema.columns},
                                       {"label", schema.label},
                                       {"features", schema.features},
                                       {"classes", schema.classes},
                                       {"group", grouped ? table.columns.begin()->first : ""},
                                       {"groups", data.groups}};
  write_atomically(folder + "/table.json", json.dump(1) + "\n");
  if (table.targets().empty())
    write_numbers(folder + "/labels.npy", "<i4", table.labels());
  else
    write_numbers(folder + "/labels.npy", "<f4", table.targets());
}

/// What was written, and how it is used.
void report(const TrainTest& table, const std::string& out) {
  const auto [dropped, kept] = table.gaps;
  if (dropped > 0)
    std::printf("%llu rows with missing cells were left out\n", static_cast<unsigned long long>(dropped));
  if (kept > 0)
    std::printf("%llu missing cells are written as NaN, which training fills in\n",
                static_cast<unsigned long long>(kept));
  const Dataset& rows = table.train;
  const char* way = rows.schema.missing == Missing::mean ? ":missing=mean" : ":missing=indicator";
  std::printf("%s: %zu rows of %d features, ", out.c_str(), rows.size(), rows.features());
  if (rows.targets().empty())
    std::printf("%zu classes", rows.schema.classes.size());
  else
    std::printf("labels that are numbers");
  std::printf("; train with --dataset npy%s --data %s\n", kept > 0 ? way : "", out.c_str());
}

/// Makes the folder, which no other process has made.
void make_new_folder(const std::string& out) {
  fs::path folder = out;
  if (!folder.has_filename()) folder = folder.parent_path();  // "arrays/"
  if (folder.has_parent_path()) make_folder(folder.parent_path().string());
  std::error_code error;
  if (!fs::create_directory(folder, error) && !error)
    throw Error("--out " + out + ": something is there already; choose another folder or remove it");
  if (error) throw Error("--out " + out + ": cannot be made: " + error.message(), Exit::io);
}

}  // namespace

void convert_command(const std::vector<std::string>& arguments) {
  std::string dataset = "csv", data, out;
  po::options_description options("Options");
  options.add_options()("dataset", po::value(&dataset)->default_value(dataset),
                        "csv, libsvm, hdf5 or npy, with label=, group= ... as for ecl train")(
      "data", po::value(&data), "the file")("out", po::value(&out), "new folder for the arrays")("help", "this text");
  po::variables_map values;
  parse_arguments(arguments, options, {}, "ecl convert", values);
  if (values.count("help")) {
    std::cout << "ecl convert --dataset csv:label=NAME --data FILE --out DIR: a table as arrays of NumPy, for\n"
                 "--dataset npy --data DIR, which is not read into memory\n\n"
              << options;
    return;
  }
  po::notify(values);
  if (data.empty() || out.empty()) throw Error("ecl convert needs --data FILE and --out DIR (see ecl convert --help)");
  const Choice choice = Choice::parse(dataset);
  datasets().find(choice.name);
  constexpr std::string_view kTables[] = {"csv", "libsvm", "hdf5", "npy"};
  if (std::find(std::begin(kTables), std::end(kTables), choice.name) == std::end(kTables))
    throw Error("ecl convert reads tables, csv, libsvm, hdf5 or npy, and dataset " + choice.name + " is none");
  make_new_folder(out);
  DatasetRequest request{data, 1, 1};
  request.store = out;
  try {
    const TrainTest table = read_dataset(choice, request);
    write_beside(out, table);
    report(table, out);
    for (const std::string& note : table.notes) std::cerr << "ecl: note: " + note + "\n";
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(out, ignored);
    throw;
  }
}

}  // namespace ecl
