// The text of TorchScript as torch's printer writes it, cut into tokens. It is a small part of
// Python: no comments, one kind of string, no line goes on behind a backslash. Whatever the printer
// does not write is refused, so that no other reader can take the text for something else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace edge_runner {

enum class TokenKind : std::uint8_t { name, number, string, symbol, line_end };

struct Token {
  TokenKind kind = TokenKind::line_end;
  bool first = false;      // of its line, in its first column
  std::uint32_t line = 0;  // from 1
  std::string_view text;   // of a string what stands between the quotes, escapes as they are
};

// Throws Failure (unsafe_model), its message naming `file` and the line. What is nested too deep,
// or goes on too long, for a parser that recurses is refused too.
[[nodiscard]] std::vector<Token> tokens_of(std::string_view file, std::string_view text);

[[noreturn]] void refuse_code(std::string_view file, std::uint32_t line, const std::string& why);

}  // namespace edge_runner
