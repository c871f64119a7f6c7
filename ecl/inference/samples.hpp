#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ecl/inference/predictor.hpp"

namespace ecl {

/// Samples that a trained model is used on, block after block, so that a file may be larger than memory.
class Samples {
 public:
  struct Block {
    Dataset data;                     ///< with the model's features, not yet scaled; classes as the model numbers them
    std::vector<std::uint64_t> rows;  ///< which rows of the file they are, from 1; one that is left out is not there
  };

  virtual ~Samples() = default;
  /// The next block; false at the end. Throws Error (io) for damaged content, with its place.
  virtual bool next(Block& block) = 0;
  /// Rows that were read so far, those that are left out too.
  std::uint64_t rows() const { return rows_; }
  /// What whoever uses the results should know: a line each. Complete at the end.
  virtual std::vector<std::string> notes() const { return {}; }

 protected:
  std::uint64_t rows_ = 0;
};

/// Opens `path`, of the format that the model's data set has. `labelled`: the samples' labels are wanted; else they
/// may be missing. Throws Error if there is no such file, it lacks a column of the model, or the label.
std::unique_ptr<Samples> open_samples(const Predictor& predictor, const std::string& path, bool labelled);

/// Lines of notes(): rows left out for a gap, cells filled in, rows left out for their label.
std::vector<std::string> gap_notes(std::uint64_t dropped, std::uint64_t filled, std::uint64_t unlabelled);

/// The parts of open_samples(): text tables, whose columns are found by name; arrays; and files of the other data sets.
std::unique_ptr<Samples> open_table(const Predictor& predictor, const std::string& path, bool labelled);
std::unique_ptr<Samples> open_arrays(const Predictor& predictor, const std::string& path, bool labelled);
std::unique_ptr<Samples> open_stored(const Predictor& predictor, const std::string& path, bool labelled);

}  // namespace ecl
