// What Metal does not have although C++ does: refused here, because the compiler underneath would take it.
#include "translate/translate.h"

namespace dsim {

void Translator::refuse_words() {
  static const std::set<std::string> words = {"double",  "goto",  "virtual", "new",    "delete",       "throw",
                                              "try",     "catch", "typeid",  "dynamic_cast", "thread_local",
                                              "register", "co_await", "co_yield", "co_return", "asm"};
  for (int i = 0; i < count(); i++)
    if (is_name(at(i)) && words.count(text(i))) return fail(i, "'" + text(i) + "' does not exist in Metal");
}

/// `[...] (` where an expression begins is a lambda; Metal has none before version 4.
void Translator::refuse_lambdas() {
  for (int i = 1; i < count(); i++) {
    if (!is(i, "[") || is(i + 1, "[") || is(i - 1, "[") || is(i - 1, "]") || is(i - 1, ")")) continue;
    bool expression = is(i - 1, "=") || is(i - 1, "(") || is(i - 1, ",") || is(i - 1, "return") || is(i - 1, "{");
    int next = match(i) + 1;
    if (expression && (is(next, "(") || is(next, "{"))) return fail(i, "Metal has no lambda expressions");
  }
}

/// Names that begin a type: classes, aliases and template parameters of the source.
void Translator::find_types() {
  for (int i = 0; i + 2 < count(); i++) {
    if (is(i, "struct") || is(i, "class") || is(i, "enum") || is(i, "typename") || is(i, "union")) {
      int k = is(i, "enum") && is(i + 1, "class") ? i + 2 : i + 1;
      if (is_name(at(k)) && !is(k + 1, "::")) types.insert(text(k));
    } else if (is(i, "using") && is(i + 2, "=")) {
      types.insert(text(i + 1));
    } else if (is(i, "typedef")) {
      int end = find(i, count() - 1, ";");
      if (is_name(at(end - 1))) types.insert(text(end - 1));
    }
  }
}

/// Whether a type begins at i; `end` is the token behind it.
bool Translator::names_type(int i, int& end) {
  while (is(i, "const") || is(i, "typename") || is(i, "volatile") || is(i, "metal") || is(i, "::")) i++;
  const std::string& t = text(i);
  bool known = is_scalar(t) || is_vector(t) || types.count(t) || t == "vec" || t == "void" || t == "size_t" ||
               t == "atomic_uint" || t == "atomic_int" || t == "atomic" || t == "int64_t" || t == "uint64_t" ||
               t == "int32_t" || t == "uint32_t" || t == "int16_t" || t == "uint16_t" || t == "int8_t" ||
               t == "uint8_t";
  if (!known) return false;
  end = i + 1;
  if (is(end, "<")) {
    int close = angle_end(end);
    if (close < 0) return false;
    end = close + 1;
  }
  while (is(end, "const")) end++;
  return true;
}

/// `T* p` and `T& r` need an address space in Metal. Seen where a declaration may begin: after ( , ; { } and
/// qualifiers.
void Translator::refuse_plain_pointers() {
  for (int i = 1; i + 2 < count(); i++) {
    bool begins = is(i - 1, "(") || is(i - 1, ",") || is(i - 1, ";") || is(i - 1, "{") || is(i - 1, "}");
    int end;
    if (!begins || !names_type(i, end)) continue;
    if (!is(end, "*") && !is(end, "&")) continue;
    if (is_space(text(end - 1)) || !is_name(at(end + 1)) || is_space(text(end + 1))) continue;
    const std::string& after = text(end + 2);
    bool declares = after == "," || after == ")" || after == ";" || after == "=" || after == "[";
    if (!declares) continue;
    return fail(i, "'" + source(i, end + 2) + "' has no address space (device, constant, threadgroup or thread)");
  }
}

}  // namespace dsim
