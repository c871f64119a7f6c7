#include "ecl/base/host.hpp"

#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>

namespace ecl {

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

std::uint64_t process_started(std::int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(file, text)) return 0;
  const std::size_t name_end = text.rfind(')');  // a name may hold anything, brackets too
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  char state = 'X';
  std::uint64_t value = 0;
  fields >> state;
  constexpr int kStartField = 22, kFieldsRead = 3;
  for (int field = kFieldsRead; field < kStartField; ++field) fields >> value;
  return fields && state != 'Z' && state != 'X' ? value : 0;
}

}  // namespace ecl
