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

bool RunningLoss::add(double loss) {
  constexpr double kFarTooHigh = 1000;
  sum_ += loss, ++count_;
  if (first_ < 0) first_ = loss;
  return std::isfinite(loss) && loss <= kFarTooHigh * largest_weight_ * std::max(first_, 1.0);
}

double RunningLoss::take() {
  const double mean = count_ == 0 ? std::nan("") : sum_ / static_cast<double>(count_);
  sum_ = 0, count_ = 0;
  return mean;
}

Recorder::Recorder(const std::string& path, std::uint64_t rows_kept) : path_(path) {
  if (path_.empty()) return;
  std::string header =
      "time_s,node,step,epoch,loss,accuracy,consensus_error,bytes_sent,messages_sent,messages_taken,stale_p50,"
      "stale_p99,train_loss,messages_overwritten";
  for (const std::string_view measure : kAverageMeasures) ((header += ',') += measure) += "_consensus";
  write_atomically(path_, rows_kept == 0 ? header + '\n' : first_lines(path_, 1 + rows_kept));
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
  char loss[32] = "", accuracy[32] = "", train_loss[32] = "", line[512];
  if (!std::isnan(row.loss)) std::snprintf(loss, sizeof loss, "%.9g", row.loss);
  if (!std::isnan(row.accuracy)) std::snprintf(accuracy, sizeof accuracy, "%.4f", row.accuracy);
  if (!std::isnan(row.train_loss)) std::snprintf(train_loss, sizeof train_loss, "%.9g", row.train_loss);
  std::snprintf(line, sizeof line, "%.6f,%d,%llu,%.9g,%s,%s,%.9g,%llu,%llu,%llu,%g,%g,%s,%llu", row.time_s, row.node,
                static_cast<unsigned long long>(row.step), row.epoch, loss, accuracy, row.consensus_error,
                static_cast<unsigned long long>(row.traffic.bytes_sent),
                static_cast<unsigned long long>(row.traffic.messages_sent),
                static_cast<unsigned long long>(row.traffic.messages_taken), row.stale_p50, row.stale_p99, train_loss,
                static_cast<unsigned long long>(row.traffic.messages_overwritten));
  std::string text = line;
  for (const double value : row.average) {
    std::snprintf(line, sizeof line, std::isfinite(value) ? ",%.6g" : ",", value);
    text += line;
  }
  return text;
}

void Recorder::write(const std::vector<MetricsRow>& rows) {
  if (path_.empty()) return;
  for (const MetricsRow& row : rows)
    if (std::fputs((to_csv(row) + '\n').c_str(), file_.get()) < 0) fail();
  if (std::fflush(file_.get()) != 0) fail();
}

}  // namespace ecl
