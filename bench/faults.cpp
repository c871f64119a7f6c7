// What a fault costs, solver by solver: relative error at the end, as Markdown. Every solver of the registry, on the
// quadratics and under the faults that tests/faults_test.cpp asks about.
#include "tests/support/faults.hpp"

#include <cstdio>

namespace {

using namespace ecl;
using namespace ecl::test;

std::string text(double error) {
  if (!(error < 1e3)) return "diverges";
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.0e", error);
  return buffer;
}

const char* class_of(const std::string& solver) {
  switch (probe(solver)->delivery()) {
    case Delivery::newest_wins:
      return "newest wins";
    case Delivery::cumulative:
      return "cumulative";
    default:
      return "lock step";
  }
}

void row(const std::vector<std::string>& cells) {
  for (const std::string& cell : cells) std::printf("| %s ", cell.c_str());
  std::printf("|\n");
  std::fflush(stdout);
}

void head(const std::vector<std::string>& cells) {
  row(cells);
  row(std::vector<std::string>(cells.size(), "---"));
}

void lock_step_table() {
  std::vector<std::string> columns = {"solver", "delivery", "none"};
  for (const auto& [fault, name] : kFaults) columns.push_back(std::string("one ") + name);
  for (const Scenario& scenario : lock_step_scenarios()) columns.emplace_back(scenario.name);
  head(columns);
  for (const auto& entry : solvers().entries()) {
    std::vector<std::string> cells = {"`" + entry.name + "`", class_of(entry.name)};
    cells.push_back(text(with_one_fault(entry.name, std::nullopt).error));
    for (const auto& named : kFaults) cells.push_back(text(with_one_fault(entry.name, named.fault).error));
    for (const Scenario& scenario : lock_step_scenarios())
      cells.push_back(text(in_lock_step(entry.name, scenario).error));
    row(cells);
  }
}

void asynchronous_table() {
  std::vector<std::string> columns = {"solver"};
  for (const Scenario& scenario : asynchronous_scenarios()) columns.emplace_back(scenario.name);
  head(columns);
  for (const auto& entry : solvers().entries()) {
    std::vector<std::string> cells = {"`" + entry.name + "`"};
    const bool refused = probe(entry.name)->delivery() == Delivery::lock_step;
    for (const Scenario& scenario : asynchronous_scenarios())
      cells.push_back(refused ? "refused" : text(asynchronously(entry.name, scenario).error));
    row(cells);
  }
}

}  // namespace

int main() {
  std::printf("In lock step:\n\n");
  lock_step_table();
  std::printf("\nAsynchronously:\n\n");
  asynchronous_table();
}
