#include "tokens.hpp"

#include <algorithm>

#include "failure.hpp"

namespace edge_runner {
namespace {

constexpr std::size_t kMaxBytes = 1U << 24U;  // timm's largest has 33 KB
constexpr std::size_t kMaxBrackets = 200;     // timm's deepest has 10
constexpr std::size_t kMaxIndent = 400;       // blanks; two a level
constexpr std::size_t kMaxRun = 2000;         // tokens without a comma, bracket or line's end
constexpr std::string_view kSymbols = "()[]{}.,:=->";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool begins_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

bool goes_on(char c) { return begins_name(c) || is_digit(c); }

class Tokenizer {
 public:
  Tokenizer(std::string_view file, std::string_view text) : file_(file), text_(text) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) step();
    if (brackets_ != 0) refuse("a bracket is not closed");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const { refuse_code(file_, line_, why); }

  void step() {
    const char c = text_[at_];
    if (c == '\n') {
      end_line();
    } else if (c == ' ') {
      ++at_;
    } else if (c == '"') {
      add(TokenKind::string, string_length());
    } else if (begins_name(c)) {
      add(TokenKind::name, length_while(goes_on));
    } else if (is_digit(c)) {
      add(TokenKind::number, number_length());
    } else if (kSymbols.find(c) != std::string_view::npos) {
      count(c);
      add(TokenKind::symbol, 1);
    } else {
      refuse("it has the character " + quoted(text_.substr(at_, 1)) +
             ", which torch does not write");
    }
  }

  void end_line() {
    if (brackets_ == 0) add(TokenKind::line_end, 1);
    else ++at_;
    ++line_;
    column_zero_ = at_;
    const std::size_t text = text_.find_first_not_of(' ', at_);
    if (text != std::string_view::npos && text - at_ > kMaxIndent && brackets_ == 0) {
      refuse("it is indented more than 200 levels deep");
    }
  }

  template <typename Test>
  std::size_t length_while(Test test) const {
    std::size_t end = at_;
    while (end < text_.size() && test(text_[end])) ++end;
    return end - at_;
  }

  // 1, 0.5, 1., 1e-05, 2j
  std::size_t number_length() const {
    std::size_t end = at_;
    while (end < text_.size() && (goes_on(text_[end]) || text_[end] == '.')) {
      const bool exponent = text_[end] == 'e' || text_[end] == 'E';
      ++end;
      if (exponent && end < text_.size() && (text_[end] == '-' || text_[end] == '+')) ++end;
    }
    return end - at_;
  }

  std::size_t string_length() const {
    if (text_.substr(at_, 3) == "\"\"\"") refuse("it has a string of three quotes");
    for (std::size_t end = at_ + 1; end < text_.size() && text_[end] != '\n'; ++end) {
      if (text_[end] == '"') return end + 1 - at_;
      if (text_[end] == '\\' && ++end < text_.size() && text_[end] == '\n') break;
    }
    refuse("a string has no end");
  }

  void count(char c) {
    if (c == '(' || c == '[' || c == '{') {
      if (++brackets_ > kMaxBrackets) refuse("more than 200 brackets are open");
    } else if (c == ')' || c == ']' || c == '}') {
      if (brackets_ == 0) refuse("a bracket is closed that is not open");
      --brackets_;
    }
    if (c == ',') run_ = 0;
  }

  void add(TokenKind kind, std::size_t length) {
    if (++run_ > kMaxRun) refuse("an expression has more than 2000 parts");
    if (kind == TokenKind::line_end) run_ = 0;
    const std::string_view all = text_.substr(at_, length);
    const bool string = kind == TokenKind::string;
    tokens_.push_back(
        {kind, at_ == column_zero_, line_, string ? all.substr(1, all.size() - 2) : all});
    at_ += length;
  }

  std::string_view file_;
  std::string_view text_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::size_t column_zero_ = 0;
  std::size_t brackets_ = 0;
  std::size_t run_ = 0;
  std::uint32_t line_ = 1;
};

}  // namespace

void refuse_code(std::string_view file, std::uint32_t line, const std::string& why) {
  fail(Code::unsafe_model, "TorchScript archive: " + quoted(file) + ", line " +
                               std::to_string(line) + ": " + why + ".");
}

std::vector<Token> tokens_of(std::string_view file, std::string_view text) {
  if (text.size() > kMaxBytes) refuse_code(file, 1, "it has more than 16 MiB");
  return Tokenizer(file, text).run();
}

}  // namespace edge_runner
