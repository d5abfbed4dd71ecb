// The translator's walk over scopes and declarations.
#include "translate/translate.h"

#include <ctype.h>

namespace dsim {

bool is_space(std::string_view t) { return t == "device" || t == "constant" || t == "threadgroup" || t == "thread"; }
bool is_scalar(std::string_view t) {
  static const std::set<std::string, std::less<>> all = {"float", "half",   "bfloat", "bool", "char", "uchar", "short",
                                                         "ushort", "int",   "uint",   "long", "ulong"};
  return all.count(t) > 0;
}
bool is_vector(std::string_view t) {
  return t.size() > 1 && t.back() >= '2' && t.back() <= '4' && is_scalar(t.substr(0, t.size() - 1));
}
bool is_name(const Token& t) { return t.kind == Lexeme::name; }

int Translator::angle_end(int i) const {
  int depth = 0;
  for (; i < count(); i++) {
    const std::string& t = text(i);
    if (is_open(t)) {
      if (t == "{") return -1;
      i = match(i);
    } else if (t == "<") {
      depth++;
    } else if (t == ">") {
      if (--depth == 0) return i;
    } else if (t == ";" || is_close(t)) {
      return -1;
    }
  }
  return -1;
}

std::string Translator::source(int a, int b) const {
  std::string s;
  for (int i = a; i < b; i++) s += (i > a ? " " : "") + text(i);
  return s;
}

/// Erased tokens leave their line breaks and line markers, so that lines stay where they were.
void Translator::erase(int a, int b) {
  for (int i = a; i < b; i++) {
    Token& t = at(i);
    std::string kept;
    bool fresh = false, marker = false;
    for (char c : t.trivia) {
      if (c == '\n') {
        kept += c;
        fresh = true, marker = false;
      } else if (c == '#' && fresh) {
        marker = true, kept += c;
      } else if (marker) {
        kept += c;
      } else if (!isspace(static_cast<unsigned char>(c))) {
        fresh = false;
      }
    }
    t.trivia = kept;
    t.out = t.before = t.after = "";
  }
}

/// "file:line" of a token, from the line markers before it.
std::string Translator::place(int i) const {
  std::string file = "source";
  long line = 1;
  for (int k = 0; k <= i && k < count(); k++) {
    const std::string& t = tokens[static_cast<size_t>(k)].trivia;
    for (size_t p = 0; p < t.size(); p++) {
      if (t[p] == '\n') line++;
      if (t[p] != '#' || (p && t[p - 1] != '\n')) continue;
      char name[512];
      long number;
      if (sscanf(t.c_str() + p, "# %ld \"%511[^\"]\"", &number, name) == 2) file = name, line = number - 1;
    }
  }
  size_t slash = file.rfind('/');
  return (slash == std::string::npos ? file : file.substr(slash + 1)) + ":" + std::to_string(line);
}

void Translator::fail(int i, const std::string& what) {
  if (problem.empty()) problem = place(i) + ": error: " + what;
}

/// Indices of [a, b) outside brackets, attributes and template argument lists (an opening bracket itself counts).
std::vector<int> Translator::top_level(int a, int b) {
  std::vector<int> out;
  for (int i = a; i < b;) {
    if (is(i, "<") && i > 0 && (is_name(at(i - 1))) && !is(i - 1, "operator")) {
      int end = angle_end(i);
      if (end >= 0 && end < b) {
        i = end + 1;
        continue;
      }
    }
    if (is(i, "[")) {
      i = match(i) + 1;
      continue;
    }
    out.push_back(i);
    i = is_open(text(i)) ? match(i) + 1 : i + 1;
  }
  return out;
}

void Translator::scope(int i, int end, const std::string& path, bool in_class) {
  int start = i;
  while (i < end && problem.empty()) {
    const std::string& t = text(i);
    if ((t == "public" || t == "private" || t == "protected") && is(i + 1, ":")) {
      start = i += 2;
    } else if (t == "(" || t == "[") {
      i = match(i) + 1;
    } else if (t == ";") {
      declaration(start, i, path, in_class);
      start = ++i;
    } else if (t == "{") {
      i = braces(start, i, path);
      if (i < end && is(i, ";")) i++;
      start = i;
    } else {
      i++;
    }
  }
}

/// The first token after a body or an initialiser in braces: its ';' where one follows, else what comes next.
int Translator::end_of_initialiser(int close) {
  while (close < count() - 1 && !is(close, ";")) close = is_open(text(close + 1)) ? match(close + 1) : close + 1;
  return close + 1;
}

/// A '{' at declaration level opens a namespace, a class, an initialiser or a function's body.
int Translator::braces(int start, int i, const std::string& path) {
  int close = match(i);
  std::vector<int> head = top_level(start, i);
  auto has = [&](const char* w) {
    for (int k : head)
      if (is(k, w)) return true;
    return false;
  };
  if (has("namespace") || (has("extern") && head.size() < 3)) {
    scope(i + 1, close, path + "::" + (head.empty() ? "" : text(head.back())), false);
    return close + 1;
  }
  int paren = -1;
  bool assigned = false, is_operator = false;
  for (int k : head) {
    if (paren < 0 && is(k, "(") && k > start) paren = k;
    if (paren < 0) assigned |= is(k, "="), is_operator |= is(k, "operator");
  }
  if (paren < 0 && (has("struct") || has("class") || has("union"))) {
    int end = find(close, count() - 1, ";") + 1;
    if (!drop_duplicate(start, i, end, path)) scope(i + 1, close, path + "::" + source(start, i), true);
    return end;
  }
  if (paren < 0 || (assigned && !is_operator)) return end_of_initialiser(close);
  while (is(close + 1, "{") || is(close + 1, ",")) {  // a constructor's member{...} list
    int k = close + 1;
    while (!is(k, "(") && !is(k, "{")) k++;
    close = match(k);
  }
  function(start, paren, i, close, path);
  return close + 1;
}

void Translator::declaration(int a, int b, const std::string& path, bool in_class) {
  if (is(a, "template") && contains(a, b, "host_name")) {
    instance(a, b);
  } else if (!in_class && contains(a, b, "function_constant")) {
    function_constant(a, b);
  } else if (in_class && contains(a, b, "(")) {
    drop_duplicate(a, b, b + 1, path);
  }
}

void Translator::function_constant(int a, int b) {
  int where = find(a, b, "function_constant");
  int name_at = where - 3;
  std::string name = text(name_at), index = source(where + 2, match(where + 1)), kind;
  for (int i = a; i < name_at; i++) {
    const std::string& w = text(i);
    if (w != "constant" && w != "const" && w != "constexpr" && w != "static") kind += (kind.empty() ? "" : " ") + w;
  }
  erase(a, b);
  if (lint) {
    at(a).out = "constant " + kind + " " + name + " = " + kind + "(1)";
    return;
  }
  at(a).out = "static ::dsim::FunctionConstant<" + kind + "> " + name + "__constant(" + index + ", \"" + name +
              "\"); static const " + kind + " " + name + " = " + name + "__constant.value";
}

/// Overloads and specialisations for thread, device, threadgroup and constant are one in C++: the first is kept.
bool Translator::drop_duplicate(int a, int signature_end, int b, const std::string& path) {
  if (lint) return false;
  std::string key = path + " ";
  bool spaces = false;
  for (int i = a; i < signature_end; i++) {
    if (is_space(text(i)))
      spaces = true;
    else
      key += text(i) + " ";
  }
  if (spaces && seen.count(key)) {
    erase(a, b);
    return true;
  }
  seen.insert(key);
  return false;
}

void Translator::function(int start, int paren, int brace, int close, const std::string& path) {
  int colon = brace;
  for (int k : top_level(start, brace))
    if (k > paren && is(k, ":")) {
      colon = k;
      break;
    }
  bool is_kernel = contains(start, paren, "kernel");
  if (!is_kernel && drop_duplicate(start, colon, close + 1, path)) return;
  threadgroup_variables(brace + 1, close);
  constructed_variables(brace + 1, close);
  if (is_kernel) entry_point(start, paren, close);
}

std::string Translator::run(std::string_view input, std::string& error) {
  if (!tokenize(input, tokens, error)) return "";
  refuse_words();
  refuse_lambdas();
  find_types();
  find_vector_aliases();
  if (!foreign) refuse_plain_pointers();
  if (problem.empty()) {
    constructors();
    scope(0, count(), "", false);
    erase_attributes();
    if (lint) lint_threads(), lint_copies();
    casts();
  }
  if (!problem.empty()) {
    error = problem;
    return "";
  }
  std::string out = lint ? "" : "#include <metal_stdlib>\n";
  for (const Token& t : tokens) out += t.trivia + t.before + t.out + t.after;
  return out + "\n";
}

std::string translate(std::string_view input, const TranslateOptions& options, std::string& error) {
  error.clear();
  return Translator(options).run(input, error);
}

}  // namespace dsim
