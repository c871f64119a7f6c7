// man_page FILE: writes the manual page, made of what the tool says of itself: `ecl --help`, and `ecl COMMAND --help`
// of each command that is named there.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "ecl/base/build.hpp"
#include "ecl/base/check.hpp"
#include "ecl/tool/run_tool.hpp"

namespace {

using Lines = std::vector<std::string>;

Lines help_of(const std::vector<std::string>& arguments) {
  std::ostringstream text;
  std::streambuf* const before = std::cout.rdbuf(text.rdbuf());
  const int code = ecl::run_tool(arguments, [](const std::string& line, bool) { ecl::say(line); });
  std::cout.rdbuf(before);
  if (code != 0) throw ecl::Error("ecl " + arguments[0] + " has no --help");
  std::istringstream in(text.str());
  Lines lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// The words COMMAND of the lines "    ecl COMMAND ...".
Lines commands_of(const Lines& help) {
  const std::string start = "    ecl ";
  Lines commands;
  for (const std::string& line : help)
    if (line.starts_with(start) && std::islower(static_cast<unsigned char>(line.c_str()[start.size()])))
      commands.push_back(line.substr(start.size(), line.find(' ', start.size()) - start.size()));
  return commands;
}

/// As roff prints it literally.
std::string literal(const std::string& text) {
  std::string escaped = text.starts_with('.') || text.starts_with('\'') ? "\\&" : "";
  for (const char letter : text) {
    if (letter == '-' || letter == '\\') escaped += '\\';
    escaped += letter == '\\' ? 'e' : letter;
  }
  return escaped;
}

/// A line of help, an option's name in bold.
std::string shown(const std::string& line) {
  const std::size_t start = line.find_first_not_of(' ');
  if (!line.starts_with("  -")) return literal(line);
  std::size_t end = line.find(' ', start);
  if (line.substr(end, 5) == " [ --") end = line.find(']', end) + 1;  // -n [ --nodes ]
  const std::string name = literal(line.substr(start, end - start));
  return "  \\fB" + name + "\\fR" + literal(line.substr(end));
}

/// Help as it stands, whose columns are 80 wide.
void print(std::ostream& page, const std::string& title, const Lines& help) {
  page << ".SH \"" << title << "\"\n.nf\n.in 0\n";
  for (const std::string& line : help) page << shown(line) << '\n';
  page << ".in\n.fi\n";
}

void print_page(std::ostream& page) {
  const Lines help = help_of({"--help"});
  page << ".TH ECL 1 \"\" \"ecl " << ecl::version() << "\" \"User Commands\"\n"
       << ".SH NAME\necl \\- asynchronous decentralised training by edge\\-consensus learning\n"
       << ".SH SYNOPSIS\n.B mpirun \\-n\n.I RANKS\n.B ecl train\n.RI [ OPTION ]...\n.br\n"
       << ".B ecl\n.I COMMAND\n.RI [ OPTION ]...\n";
  print(page, "COMMANDS", help);
  for (const std::string& command : commands_of(help)) print(page, "ecl " + command, help_of({command, "--help"}));
  page << ".SH EXIT STATUS\n0 ok, 1 internal, 2 usage, 3 a rank was lost, 4 diverged, 5 input or output, 75 stopped by "
          "a\n"
       << "signal in good order.\n.SH FILES\nshare/doc/ecl/examples/cluster: jobs for Slurm, and what its messages "
          "mean\n.SH SEE ALSO\n.BR mpirun (1)\n";
}

}  // namespace

int main(int argc, char** argv) {
  std::ostringstream page;
  // A build may run within a job, whose launcher some commands refuse.
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_STEP_NUM_TASKS"}) unsetenv(name);
  try {
    if (argc != 2) throw ecl::Error("man_page FILE");
    print_page(page);
    std::ofstream file(argv[1]);
    file << page.str();
    if (!file.flush()) throw ecl::Error(std::string(argv[1]) + ": cannot be written");
  } catch (const ecl::Error& error) {
    ecl::say(error.what());
    return 1;
  }
}
