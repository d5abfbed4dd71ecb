// Splits a preprocessed source into tokens.
#include "translate/tokens.h"

#include <ctype.h>

namespace dsim {

bool is_open(std::string_view t) { return t == "(" || t == "[" || t == "{"; }
bool is_close(std::string_view t) { return t == ")" || t == "]" || t == "}"; }

std::string number_in_cpp(const std::string& t) {
  if (t.size() > 1 && t[0] == '0' && (t[1] == 'x' || t[1] == 'X')) return t;
  bool half = t.back() == 'h' || t.back() == 'H', real = half;
  for (char c : t) real |= c == '.' || c == 'e' || c == 'E';
  if (!real || t.back() == 'f' || t.back() == 'F') return t;
  if (half) {
    std::string digits = t.substr(0, t.size() - 1);
    bool plain = digits.find_first_of(".eE") == std::string::npos;
    return digits + (plain ? ".0f16" : "f16");
  }
  return isdigit(static_cast<unsigned char>(t.back())) || t.back() == '.' ? t + "f" : t;
}

static bool is_word(char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_'; }

/// The end of blanks, comments and line markers from `i` on. `fresh`: nothing but blanks since the line began.
static size_t skip_trivia(std::string_view s, size_t i, bool& fresh) {
  while (i < s.size()) {
    char c = s[i];
    if (c == '\n') {
      fresh = true;
      i++;
    } else if (isspace(static_cast<unsigned char>(c))) {
      i++;
    } else if (c == '#' && fresh) {
      while (i < s.size() && s[i] != '\n') i++;
    } else if (s.substr(i, 2) == "//") {
      while (i < s.size() && s[i] != '\n') i++;
    } else if (s.substr(i, 2) == "/*") {
      size_t end = s.find("*/", i + 2);
      i = end == std::string_view::npos ? s.size() : end + 2;
    } else {
      break;
    }
  }
  return i;
}

static size_t end_of_number(std::string_view s, size_t i) {
  bool hex = s[i] == '0' && i + 1 < s.size() && (s[i + 1] == 'x' || s[i + 1] == 'X');
  while (i < s.size() && (is_word(s[i]) || s[i] == '.')) {
    bool exponent = hex ? s[i] == 'p' || s[i] == 'P' : s[i] == 'e' || s[i] == 'E';
    i += exponent && i + 1 < s.size() && (s[i + 1] == '+' || s[i + 1] == '-') ? 2 : 1;
  }
  return i;
}

static size_t end_of_quoted(std::string_view s, size_t i) {
  char quote = s[i++];
  while (i < s.size() && s[i] != quote) i += s[i] == '\\' ? 2 : 1;
  return i + 1 < s.size() ? i + 1 : s.size();
}

static size_t end_of_token(std::string_view s, size_t i, Lexeme& kind) {
  char c = s[i];
  bool digit_next = i + 1 < s.size() && isdigit(static_cast<unsigned char>(s[i + 1]));
  kind = Lexeme::other;
  if (c == '"' || c == '\'') return kind = Lexeme::text, end_of_quoted(s, i);
  if (isdigit(static_cast<unsigned char>(c)) || (c == '.' && digit_next)) {
    kind = Lexeme::number;
    return end_of_number(s, i);
  }
  if (is_word(c)) {
    kind = Lexeme::name;
    while (i < s.size() && is_word(s[i])) i++;
    return i;
  }
  // '>>' stays two tokens: template argument lists end with it.
  static const char* const pairs[] = {"<<=", "...", "::", "->", "<<", "+=", "-=", "*=", "/=", "%=", "&=",
                                      "|=",  "^=",  "<=", ">=", "==", "!=", "&&", "||", "++", "--"};
  for (const char* p : pairs) {
    std::string_view v(p);
    if (s.substr(i, v.size()) == v) return i + v.size();
  }
  return i + 1;
}

static bool match_brackets(std::vector<Token>& tokens, std::string& error) {
  std::vector<int> open;
  for (size_t i = 0; i < tokens.size(); i++) {
    const std::string& t = tokens[i].text;
    if (is_open(t)) {
      tokens[i].parent = open.empty() ? -1 : open.back();
      open.push_back(static_cast<int>(i));
    } else if (is_close(t)) {
      if (open.empty()) return error = "a '" + t + "' closes nothing", false;
      tokens[i].match = open.back();
      tokens[static_cast<size_t>(open.back())].match = static_cast<int>(i);
      open.pop_back();
    }
  }
  if (!open.empty()) return error = "a '" + tokens[static_cast<size_t>(open.back())].text + "' is not closed", false;
  return true;
}

bool tokenize(std::string_view s, std::vector<Token>& out, std::string& error) {
  size_t i = 0;
  bool fresh = true;
  for (;;) {
    size_t from = i;
    i = skip_trivia(s, i, fresh);
    Token t{};
    t.trivia = std::string(s.substr(from, i - from));
    t.match = t.parent = -1;
    if (i == s.size()) {
      t.text = ";";
      t.kind = Lexeme::other;
      out.push_back(t);
      break;
    }
    size_t end = end_of_token(s, i, t.kind);
    t.text = std::string(s.substr(i, end - i));
    if (t.kind == Lexeme::number) t.text = number_in_cpp(t.text);
    i = end;
    fresh = false;
    out.push_back(t);
  }
  for (Token& t : out) t.out = t.text;
  return match_brackets(out, error);
}

}  // namespace dsim
