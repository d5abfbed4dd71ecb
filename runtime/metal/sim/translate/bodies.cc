// What the translator rewrites inside functions: threadgroup variables, constructors of vectors, casts.
#include "translate/translate.h"

namespace dsim {

bool Translator::has_pointer(const std::vector<int>& head, size_t n) const {
  for (size_t i = 0; i < n; i++)
    if (is(head[i], "*") || is(head[i], "&")) return true;
  return false;
}

void Translator::threadgroup_variables(int a, int b) {
  for (int i = a; i < b; i++) {
    bool first = is(i - 1, ";") || is(i - 1, "{") || is(i - 1, "}");
    if (!is(i, "threadgroup") || !first) continue;
    int end = find(i, b, ";");
    std::vector<int> head = top_level(i + 1, end);
    bool pointer = false, several = false;
    size_t assigned = 0;
    while (assigned < head.size() && !is(head[assigned], "=")) assigned++;
    if (assigned < head.size()) {
      // A value here is none in Metal: the memory stays undefined.
      if (!foreign && !has_pointer(head, assigned)) return fail(i, "a threadgroup variable has no initialiser");
      head.resize(assigned);
    }
    for (int k : head) {
      pointer |= is(k, "*") || is(k, "&") || is(k, "(");
      several |= is(k, ",");
    }
    if (pointer || head.empty()) continue;  // a pointer into threadgroup memory
    if (several) return fail(i, "several threadgroup variables in one declaration: " + source(i, end));
    int name = head.back();
    int dimensions_end = name + 1;
    while (is(dimensions_end, "[")) dimensions_end = match(dimensions_end) + 1;
    std::string type = source(i + 1, name) + " " + source(name + 1, dimensions_end), id = text(name);
    erase(i, end);
    if (lint)
      at(i).out = "threadgroup auto& " + id + " = ::lint::variable<" + type + ">()";
    else
      at(i).out = "static char " + id + "__key; auto& " + id + " = ::dsim::threadgroup_variable<" + type + ">(&" + id +
                  "__key, \"" + id + "\")";
  }
}

/// `short2 at(x, y);` becomes `short2 at = make<short2>(x, y);`
void Translator::constructed_variables(int a, int b) {
  for (int i = a; i < b - 3; i++) {
    if (!vectors.count(text(i)) || !is_name(at(i + 1)) || !is(i + 2, "(")) continue;
    int next = match(i + 2) + 1;
    if (is(next, ";") || is(next, ",")) at(i + 1).after += " = ::metal::make<" + text(i) + ">";
  }
}

/// Names that stand for vectors: Metal's own, and aliases of them. Calls of these are constructors.
void Translator::find_vector_aliases() {
  for (const char* scalar : {"float", "half", "bfloat", "bool", "char", "uchar", "short", "ushort", "int", "uint",
                             "long", "ulong"})
    for (const char* n : {"2", "3", "4"}) vectors.insert(std::string(scalar) + n);
  for (int i = 0; i + 3 < count(); i++) {
    if (is(i, "using") && is(i + 2, "=")) {
      int k = i + 3;
      while (is(k, "typename") || is(k, "metal") || is(k, "::")) k++;
      if (is(k, "vec") || (vectors.count(text(k)) && is(k + 1, ";"))) vectors.insert(text(i + 1));
    } else if (is(i, "typedef")) {
      int k = i + 1;
      while (is(k, "metal") || is(k, "::")) k++;
      int end = is(k, "vec") ? angle_end(k + 1) : vectors.count(text(k)) ? k : -1;
      if (end >= 0 && is_name(at(end + 1))) vectors.insert(text(end + 1));
    }
  }
}

/// f({a, b, c}) for a parameter that is a vector: Clang cannot convert the list, Metal can.
void Translator::braced_argument(int i) {
  int close = match(i), commas = 0;
  for (int k = i + 1; k < close; k = is_open(text(k)) ? match(k) + 1 : k + 1) commas += is(k, ",");
  if (commas < 1 || commas > 3 || !(is(close + 1, ",") || is(close + 1, ")")) || lint) return;
  at(i).out = "::metal::braced(";
  at(close).out = ")";
}

void Translator::constructors() {
  for (int i = 0; i < count(); i++) {
    if (is(i, "{") && (is(i - 1, "(") || is(i - 1, ",")) && at(i).parent >= 0 && is(at(i).parent, "("))
      braced_argument(i);
    int last = -1;
    if (is(i, "vec") && is(i + 1, "<"))
      last = angle_end(i + 1);
    else if (vectors.count(text(i)))
      last = is(i + 1, "<") ? angle_end(i + 1) : i;
    if (last < 0 || !is(last + 1, "(") || is(last + 2, "&")) continue;
    int first = i;
    while (is(first - 1, "::") || (is(first - 1, "metal") && is(first, "::"))) first--;
    const std::string& before = first > 0 ? text(first - 1) : text(0);
    if (before == "operator" || before == "." || before == "->" || before == "struct" || before == "using" ||
        before == "~")
      continue;
    at(first).before += "::metal::make<";
    at(last).after = ">" + at(last).after;
  }
}

/// static_cast to a value goes through msl_cast, which knows half <-> bfloat.
void Translator::casts() {
  for (int i = 0; i < count(); i++) {
    if (!is(i, "static_cast") || at(i).out.empty()) continue;
    int end = angle_end(i + 1);
    if (end > 0 && !is(end - 1, "&") && !is(end - 1, "*")) at(i).out = "::metal::msl_cast";
  }
}

void Translator::erase_attributes() {
  for (int i = 0; i < count(); i++) {
    bool attribute = is(i, "[") && is(i + 1, "[") && match(i) == match(i + 1) + 1;
    if (attribute && !at(i).out.empty()) erase(i, match(i) + 1);
  }
}

/// For the lint: Clang's temporaries have no address space, so `thread` constructors and `thread const T&` are plain.
void Translator::lint_threads() {
  std::set<std::string> classes;
  for (int i = 0; i < count(); i++)
    if (is(i, "struct") || is(i, "class")) classes.insert(text(i + 1));
  for (int i = 1; i + 1 < count(); i++) {
    if (!is(i, "thread")) continue;
    bool ends = is(i + 1, "{") || is(i + 1, ":") || is(i + 1, ";") || is(i + 1, "=");
    if (is(i - 1, ")") && ends && classes.count(text(match(i - 1) - 1))) {
      at(i).out = "";
    } else if (is(i + 1, "const") || is(i - 1, "const")) {
      int k = i + 1;
      while (!is(k, "&") && !is(k, "*") && !is(k, ",") && !is(k, ")") && !is(k, ";") && !is(k, "{") && !is(k, "("))
        k = is(k, "<") && angle_end(k) > 0 ? angle_end(k) + 1 : k + 1;
      if (is(k, "&")) at(i).out = "";
    }
  }
}

/// For the lint: `Struct a = b;` copies from any address space in Metal, in Clang from its own only.
void Translator::lint_copies() {
  std::set<std::string> structs;
  for (int i = 0; i + 2 < count(); i++)
    if (is(i, "struct") && is(i + 2, "{")) structs.insert(text(i + 1));
  for (int i = 1; i + 3 < count(); i++) {
    bool begins = is(i - 1, ";") || is(i - 1, "{") || is(i - 1, "}") || is(i - 1, ")") || is(i - 1, "const");
    if (!begins || !structs.count(text(i)) || !is(i + 2, "=") || is(i + 3, "{")) continue;
    int end = i + 3;
    while (!is(end, ";") && !is(end, ",")) end = is_open(text(end)) ? match(end) + 1 : end + 1;
    at(i + 2).after += " ::lint::copy<" + text(i) + ">(";
    at(end).before = ")" + at(end).before;
  }
}

}  // namespace dsim
