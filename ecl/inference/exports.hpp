#pragma once

#include <string>

#include "ecl/inference/predictor.hpp"

/// Trained models as files for programs that are not ecl.
namespace ecl {

/// What such a program hands to the model, and what it gets: a line for people.
std::string onnx_use(const Predictor& predictor);

/// A graph that scores samples as people have them, scaling and all: one file is the model. Writes `path` whole or not
/// at all. Throws Error for a model that is no list of layers, or larger than the format allows; Error (io).
void write_onnx(const Predictor& predictor, const std::string& path);

/// Arrays for numpy.load: the parameters by name, mean, deviation and fill, and model.json as text. As above.
void write_npz(const Predictor& predictor, const std::string& path);

}  // namespace ecl
