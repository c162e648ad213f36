#include "code.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "failure.hpp"
#include "operators.hpp"
#include "tokens.hpp"

namespace edge_runner {
namespace {

// They print, start threads, or have no place in what torch prints.
constexpr std::array<std::string_view, 9> kRefusedNames = {
    "awaitable", "awaitable_nowait", "awaitable_wait", "elif", "fork",
    "from",      "global",           "import",         "print"};

constexpr std::string_view kCustomClasses = "__torch__.torch.classes.";

class Checker {
 public:
  Checker(std::string_view file, std::string_view text, const Definitions& definitions)
      : file_(file), tokens_(tokens_of(file, text)), definitions_(definitions) {}

  void run() {
    while (at_ < tokens_.size()) {
      if (tokens_[at_].kind == TokenKind::name) {
        check_keyword();
        check_name();
      } else {
        count_bracket();
        ++at_;
      }
    }
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    refuse_code(file_, tokens_[std::min(at_, tokens_.size() - 1)].line, why);
  }

  [[nodiscard]] bool is(std::size_t index, std::string_view symbol) const {
    return index < tokens_.size() && tokens_[index].kind == TokenKind::symbol &&
           tokens_[index].text == symbol;
  }

  void count_bracket() {
    if (is(at_, "(") || is(at_, "[") || is(at_, "{")) ++depth_;
    if (is(at_, ")") || is(at_, "]") || is(at_, "}")) --depth_;
  }

  // torch.add(x, y, out=z): the kernels trust `out`.
  void check_keyword() const {
    const bool keyword = depth_ > 0 && is(at_ + 1, "=") && (is(at_ - 1, "(") || is(at_ - 1, ","));
    if (keyword && is_refused_keyword(tokens_[at_].text)) {
      refuse("it gives an operator memory to write into, " + quoted(tokens_[at_].text) +
             ", which is not allowed");
    }
  }

  void check_name() {
    const std::string_view name = tokens_[at_].text;
    if (at_ > 0 && is(at_ - 1, ".")) {
      check_attribute(name);
      ++at_;
    } else if (name == "torch") {
      check_operator("aten");
    } else if (name == "ops") {
      check_operator(take_after_dot());
    } else if (name == "CONSTANTS") {
      take_after_dot();
      ++at_;
    } else if (name == "__torch__") {
      check_qualified();
    } else if (name == "getattr") {
      check_getattr();
      ++at_;
    } else if (std::find(kRefusedNames.begin(), kRefusedNames.end(), name) != kRefusedNames.end()) {
      refuse("it uses " + quoted(name) + ", which is not allowed");
    } else {
      ++at_;
    }
  }

  // Code may call an operator as a method of its first argument.
  void check_attribute(std::string_view name) const {
    if (is_refused_method(name)) {
      refuse("it uses the name " + quoted(name) + ", an operator that is not allowed");
    }
  }

  // Moves from a name to the one behind the dot that must follow: `torch` alone could be given
  // another name, under which nobody would find what is called.
  std::string_view take_after_dot() {
    const bool dotted =
        is(at_ + 1, ".") && at_ + 2 < tokens_.size() && tokens_[at_ + 2].kind == TokenKind::name;
    if (!dotted) refuse(quoted(tokens_[at_].text) + " stands alone");
    at_ += 2;
    return tokens_[at_].text;
  }

  void check_operator(std::string_view space) {
    const std::string name = std::string(space) + "::" + std::string(take_after_dot());
    if (!is_allowed_operator(name))
      refuse("it uses the operator " + name + ", which is not allowed");
    ++at_;
    if (is(at_, ".")) refuse("it looks for something in the operator " + name);
  }

  void check_qualified() {
    std::string name(tokens_[at_].text);
    while (is(at_ + 1, ".")) name += "." + std::string(take_after_dot());
    if (!is_defined(name, definitions_)) {
      refuse("it uses " + quoted(name) + ", which the archive does not define");
    }
    ++at_;
  }

  // getattr(object, "name"): the name is an attribute's.
  void check_getattr() const {
    std::size_t open = 0;
    for (std::size_t i = at_ + 1; i < tokens_.size(); ++i) {
      if (is(i, "(") || is(i, "[") || is(i, "{")) ++open;
      if (is(i, ")") || is(i, "]") || is(i, "}")) --open;
      if (open == 0) break;
      if (open == 1 && is(i, ",")) {
        if (i + 2 >= tokens_.size() || tokens_[i + 1].kind != TokenKind::string ||
            !is(i + 2, ")")) {
          break;
        }
        const std::string_view name = tokens_[i + 1].text;
        if (name.find('\\') != std::string_view::npos) refuse("getattr has a name with escapes");
        check_attribute(name);
        return;
      }
    }
    refuse("getattr is not used as torch writes it");
  }

  std::string_view file_;
  std::vector<Token> tokens_;
  const Definitions& definitions_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;  // brackets that are open
};

// code/__torch__/torch/nn.py -> __torch__.torch.nn
std::string module_of(std::string_view file) {
  file.remove_prefix(std::string_view("code/").size());
  file.remove_suffix(std::string_view(".py").size());
  std::string module(file);
  std::replace(module.begin(), module.end(), '/', '.');
  return module;
}

}  // namespace

void add_definitions(std::string_view file, std::string_view text, Definitions& definitions) {
  const std::string module = module_of(file);
  const std::vector<Token> tokens = tokens_of(file, text);
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    const bool defines = tokens[i].text == "class" || tokens[i].text == "def";
    if (!tokens[i].first || tokens[i].kind == TokenKind::line_end) continue;
    if (!defines || tokens[i + 1].kind != TokenKind::name) {
      refuse_code(file, tokens[i].line, "it has something besides classes and functions");
    }
    if (!definitions.insert(module + "." + std::string(tokens[i + 1].text)).second) {
      refuse_code(file, tokens[i].line, quoted(tokens[i + 1].text) + " is defined twice");
    }
  }
}

bool is_defined(std::string_view name, const Definitions& definitions) {
  if (name.starts_with(kCustomClasses)) return is_allowed_class(name);
  for (std::size_t end = name.size(); end != std::string_view::npos && end != 0;
       end = name.rfind('.', end - 1)) {
    if (definitions.find(name.substr(0, end)) != definitions.end()) return true;
  }
  return false;
}

void check_code(std::string_view file, std::string_view text, const Definitions& definitions) {
  Checker(file, text, definitions).run();
}

}  // namespace edge_runner
