#include <algorithm>

#include "ecl/models/layers/convolution.hpp"

namespace ecl::layers {

/// Calls visit(input, output, weight) with the places of every product that the sum over outputs consists of.
template <class Visit>
void Convolution<double>::over_terms(int rows, Visit visit) const {
  const auto& [in, out, kernel, stride, padding, bias] = sizes_;
  std::size_t output = 0;
  for (int n = 0; n < rows; ++n)
    for (int y = 0; y < out.height; ++y)
      for (int x = 0; x < out.width; ++x)
        for (int o = 0; o < out.channels; ++o, ++output)
          for (int c = 0; c < in.channels; ++c)
            for (int i = 0; i < kernel; ++i)
              for (int j = 0; j < kernel; ++j) {
                const int row = y * stride + i - padding, column = x * stride + j - padding;
                if (row < 0 || row >= in.height || column < 0 || column >= in.width) continue;
                visit(((static_cast<std::size_t>(n) * in.height + row) * in.width + column) * in.channels + c, output,
                      ((static_cast<std::size_t>(o) * in.channels + c) * kernel + i) * kernel + j);
              }
}

void Convolution<double>::load(const double* w) {
  const std::size_t parameters = sizes_.weights() + (sizes_.bias ? sizes_.out.channels : 0);
  w_.assign(w, w + parameters);
  dw_.assign(parameters, 0);
}

void Convolution<double>::forward(int rows, const double* x, double* y) const {
  const double* bias = w_.data() + sizes_.weights();
  const int channels = sizes_.out.channels;
  for (std::size_t i = 0; i < rows * sizes_.out.size(); ++i) y[i] = sizes_.bias ? bias[i % channels] : 0;
  over_terms(rows, [&](std::size_t in, std::size_t out, std::size_t weight) { y[out] += w_[weight] * x[in]; });
}

void Convolution<double>::backward(int rows, const double* x, const double* dy, double* dx) {
  if (dx) std::fill_n(dx, rows * sizes_.in.size(), 0.0);
  over_terms(rows, [&](std::size_t in, std::size_t out, std::size_t weight) {
    dw_[weight] += dy[out] * x[in];
    if (dx) dx[in] += dy[out] * w_[weight];
  });
  if (!sizes_.bias) return;
  for (std::size_t i = 0; i < rows * sizes_.out.size(); ++i) dw_[sizes_.weights() + i % sizes_.out.channels] += dy[i];
}

void Convolution<double>::store(double* dw) const {
  for (std::size_t i = 0; i < dw_.size(); ++i) dw[i] += dw_[i];
}

}  // namespace ecl::layers
