#include "ecl/metrics/recorder.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <unistd.h>
#include <utility>

#include "ecl/base/check.hpp"
#include "ecl/base/files.hpp"
#include "ecl/base/gzip.hpp"

namespace ecl {
namespace {

constexpr double kRedraw_s = 0.2, kPlainLine_s = 5;

std::string duration(double seconds) {
  char text[32];
  const long s = std::lround(seconds);
  if (s < 60)
    std::snprintf(text, sizeof text, "%ld s", s);
  else if (s < 3600)
    std::snprintf(text, sizeof text, "%ld min %02ld s", s / 60, s % 60);
  else
    std::snprintf(text, sizeof text, "%ld h %02ld min", s / 3600, s / 60 % 60);
  return text;
}

/// The first `count` lines of a text file, ends of lines included. Throws Error (io) if it has fewer.
std::string first_lines(const std::string& path, std::uint64_t count) {
  const Bytes content = read_file(path);
  auto end = content.begin();
  for (; count > 0; --count) {
    end = std::find(end, content.end(), '\n');
    if (end == content.end())
      throw Error(path + " has fewer rows than the checkpoint knows of; the run cannot be resumed", Exit::io);
    ++end;
  }
  return {content.begin(), end};
}

}  // namespace

std::vector<double> mean_of(const std::vector<std::vector<float>>& models) {
  std::vector<double> mean(models.at(0).size());
  for (const auto& model : models)
    for (std::size_t d = 0; d < mean.size(); ++d) mean[d] += model[d];
  for (double& value : mean) value /= static_cast<double>(models.size());
  return mean;
}

double relative_distance(CVec x, const std::vector<double>& mean) {
  double distance = 0, norm = 0;
  for (std::size_t d = 0; d < x.size(); ++d) {
    const double difference = x[d] - mean[d];
    distance += difference * difference;
    norm += mean[d] * mean[d];
  }
  return norm > 0 ? std::sqrt(distance / norm) : std::sqrt(distance);
}

bool RunningLoss::add(double loss) {
  constexpr double kFarTooHigh = 1000;
  sum_ += loss, ++count_;
  if (first_ < 0) first_ = loss;
  return std::isfinite(loss) && loss <= kFarTooHigh * std::max(first_, 1.0);
}

double RunningLoss::take() {
  const double mean = count_ == 0 ? std::nan("") : sum_ / static_cast<double>(count_);
  sum_ = 0, count_ = 0;
  return mean;
}

Recorder::Recorder(const std::string& path, std::uint64_t rows_kept) : path_(path) {
  if (path_.empty()) return;
  constexpr std::string_view kHeader =
      "time_s,node,step,epoch,loss,accuracy,consensus_error,bytes_sent,messages_sent,messages_taken,stale_p50,"
      "stale_p99,train_loss,messages_overwritten\n";
  write_atomically(path_, rows_kept == 0 ? std::string(kHeader) : first_lines(path_, 1 + rows_kept));
  file_.reset(std::fopen(path_.c_str(), "a"));
  if (!file_) fail();
}

void Recorder::fail() const {
  throw Error("cannot write " + path_ + ": " + std::strerror(errno) + "; is the disk full or the directory gone?",
              Exit::io);
}

void Recorder::sync() {
  if (file_ && fsync(fileno(file_.get())) != 0) fail();
}

std::string to_csv(const MetricsRow& row) {
  char accuracy[32] = "", train_loss[32] = "", line[512];
  if (!std::isnan(row.accuracy)) std::snprintf(accuracy, sizeof accuracy, "%.4f", row.accuracy);
  if (!std::isnan(row.train_loss)) std::snprintf(train_loss, sizeof train_loss, "%.9g", row.train_loss);
  std::snprintf(line, sizeof line, "%.6f,%d,%llu,%.4f,%.9g,%s,%.9g,%llu,%llu,%llu,%g,%g,%s,%llu", row.time_s, row.node,
                static_cast<unsigned long long>(row.step), row.epoch, row.loss, accuracy, row.consensus_error,
                static_cast<unsigned long long>(row.traffic.bytes_sent),
                static_cast<unsigned long long>(row.traffic.messages_sent),
                static_cast<unsigned long long>(row.traffic.messages_taken), row.stale_p50, row.stale_p99, train_loss,
                static_cast<unsigned long long>(row.traffic.messages_overwritten));
  return line;
}

void Recorder::write(const std::vector<MetricsRow>& rows) {
  if (path_.empty()) return;
  for (const MetricsRow& row : rows)
    if (std::fputs((to_csv(row) + '\n').c_str(), file_.get()) < 0) fail();
  if (std::fflush(file_.get()) != 0) fail();
}

void Progress::show(double now_s, std::uint64_t step, double epoch, double loss, double samples_per_step) {
  if (quiet_ || now_s - last_s_ < (terminal_ ? kRedraw_s : kPlainLine_s)) return;
  last_s_ = now_s;
  char consensus[48] = "";
  if (consensus_ >= 0) std::snprintf(consensus, sizeof consensus, "  consensus error %.2e", consensus_);
  const double rate = now_s > 0 ? static_cast<double>(step) / now_s : 0;
  const double left_s = rate > 0 ? static_cast<double>(total_ - step) / rate : 0;
  std::fprintf(stderr, "%sstep %llu/%llu  epoch %.1f  loss %.4f%s  %.3g samples/s  %s left%s", terminal_ ? "\r" : "",
               static_cast<unsigned long long>(step), static_cast<unsigned long long>(total_), epoch, loss, consensus,
               rate * samples_per_step, duration(left_s).c_str(), terminal_ ? "\033[K" : "\n");
  std::fflush(stderr);
  open_ = terminal_;
}

void Progress::finish() {
  if (std::exchange(open_, false)) std::fprintf(stderr, "\n");
}

}  // namespace ecl
