// ecl_tool() of ecl.h: the command line tool in a process that goes on.
#include <exception>
#include <iostream>
#include <locale.h>
#include <streambuf>
#include <string>
#include <vector>

#include "ecl/base/check.hpp"
#include "ecl/c/ecl.h"
#include "ecl/c/guarded.hpp"
#include "ecl/mpi/session.hpp"
#include "ecl/run/run.hpp"
#include "ecl/tool/run_tool.hpp"

namespace {

using ecl::c::given;

/// Passes text on, but for what begins so; with no place to pass it on to it takes in everything.
class Sieve final : public std::streambuf {
 public:
  Sieve(std::ostream& stream, std::streambuf* onwards, std::string without)
      : stream_(stream), onwards_(onwards), without_(std::move(without)), before_(stream.rdbuf(this)) {}
  ~Sieve() override { stream_.rdbuf(before_); }
  Sieve(const Sieve&) = delete;
  Sieve& operator=(const Sieve&) = delete;

 protected:
  std::streamsize xsputn(const char* text, std::streamsize length) override {
    const bool kept = onwards_ && std::string_view(text, length).substr(0, without_.size()) != without_;
    return kept ? onwards_->sputn(text, length) : length;
  }
  int_type overflow(int_type letter) override { return onwards_ ? onwards_->sputc(static_cast<char>(letter)) : letter; }
  int sync() override { return onwards_ ? onwards_->pubsync() : 0; }

 private:
  std::ostream& stream_;
  std::streambuf* onwards_;
  std::string without_;
  std::streambuf* before_;
};

/// Numbers have points, in files and messages, whatever language the host program has set.
class PlainNumbers {
 public:
  PlainNumbers() : plain_(newlocale(LC_NUMERIC_MASK, "C", duplocale(LC_GLOBAL_LOCALE))), before_(uselocale(plain_)) {}
  ~PlainNumbers() {
    uselocale(before_);
    freelocale(plain_);
  }
  PlainNumbers(const PlainNumbers&) = delete;
  PlainNumbers& operator=(const PlainNumbers&) = delete;

 private:
  locale_t plain_, before_;
};

int run_here(const std::vector<std::string>& arguments) {
  const PlainNumbers plain;
  const int code =
      ecl::run_tool(arguments, [](const std::string& line, bool) { ecl::c::fail(line, ecl::Exit::usage); });
  ecl::release_stop_signals();
  return code;
}

}  // namespace

int ecl_tool(int argc, const char* const* argv, int silent) {
  int code = ECL_OK;
  const int failed = ecl::c::guarded([&] {
    std::vector<std::string> arguments;
    for (int a = 0; a < argc; ++a) arguments.emplace_back(&given((&given(argv, "argv"))[a], "an argument"));
    const std::string command = arguments.empty() ? "" : arguments[0];
    ecl::Helper::Turn turn;
    if (ecl::mpi::launched() || command == "train" || command == "doctor") {
      if (ecl_init() != ECL_OK) throw ecl::Error(ecl_error(), ecl::Exit::internal);
      turn = ecl::c::turn();
      ecl::c::require_unbroken();
    }
    ecl::c::fail("", ecl::Exit::ok);  // an exit code without an error has no line
    if (!silent) return static_cast<void>(code = run_here(arguments));
    const Sieve results(std::cout, nullptr, ""), warnings(std::cerr, std::cerr.rdbuf(), "ecl: warning: ");
    code = run_here(arguments);
  });
  return failed ? failed : code;
}
