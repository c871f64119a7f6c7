#include "ecl/inference/confusion.hpp"

#include <charconv>

#include "ecl/base/text_lines.hpp"

namespace ecl {

std::string confusion_csv(const ClassifierMeasures& measures, const std::vector<std::string>& names) {
  if (!measures.counts_confusion()) return "";
  const auto name = [&](int c) { return names.empty() ? std::to_string(c) : csv_cell(names[c]); };
  std::string text = "label";
  for (int c = 0; c < measures.classes(); ++c) (text += ',') += name(c);
  for (int label = 0; label < measures.classes(); ++label) {
    (text += '\n') += name(label);
    for (int c = 0; c < measures.classes(); ++c) {
      char digits[32];
      text += ',';
      text.append(digits, std::to_chars(digits, digits + sizeof digits, measures.confused(label, c)).ptr);
    }
  }
  return text + '\n';
}

}  // namespace ecl
