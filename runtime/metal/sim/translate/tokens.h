// The tokens of a preprocessed source, with what stands between them, and which bracket closes which. The rewrites
// (translate.h) replace and surround tokens; what they leave alone comes out as it was, line markers included.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace dsim {

enum class Lexeme : unsigned char { name, number, text, other };

struct Token {
  std::string text;
  std::string trivia;  // blanks, comments and line markers before it
  std::string before, after, out;
  Lexeme kind;
  int match;   // of an opening bracket: the token that closes it, of a closing one: the token that opens it; else -1
  int parent;  // of an opening bracket: the bracket around it; else -1
};

/// Splits a text; the last token is an extra ';', so that there is always a next one. Fails (a message in `error`) on
/// brackets that do not match.
bool tokenize(std::string_view text, std::vector<Token>& out, std::string& error);

bool is_open(std::string_view t);
bool is_close(std::string_view t);
/// A number as C++ has it: "1.0" is a float in MSL, "1.0h" a half.
std::string number_in_cpp(const std::string& t);

}  // namespace dsim
