// Entry points: what the translator makes of `kernel` functions, their parameters and their instantiations.
#include "translate/translate.h"

#include <ctype.h>

namespace dsim {

static bool is_builtin(const std::string& t) {
  static const std::set<std::string> all = {
      "thread_position_in_grid",       "threads_per_grid",
      "threadgroup_position_in_grid",  "threadgroups_per_grid",
      "thread_position_in_threadgroup", "threads_per_threadgroup",
      "dispatch_threads_per_threadgroup", "thread_index_in_threadgroup",
      "thread_index_in_simdgroup",     "simdgroup_index_in_threadgroup",
      "simdgroups_per_threadgroup",    "threads_per_simdgroup",
      "thread_index_in_quadgroup",     "quadgroup_index_in_threadgroup",
  };
  return all.count(t) > 0;
}

/// The place of `name` as an attribute with arguments in [a, b), or -1.
int Translator::attribute(int a, int b, const char* name) {
  int i = find(a, b, name);
  return i < b && is(i + 1, "(") ? i : -1;
}

std::string Translator::registration(const std::string& function, const std::string& host_name,
                                     const std::string& name, const std::string& limit) {
  return " static ::dsim::Thunk<" + function + ", " + name + "__attrs>::Register dsim_kernel_" +
         std::to_string(++registrations) + "(" + host_name + ", " + limit + ")";
}

void Translator::entry_point(int start, int paren, int close) {
  std::vector<std::string> rows = parameters(paren);
  if (lint) {
    for (int k = start; k < paren; k++)
      if (is(k, "kernel")) at(k).out = "";
    return;
  }
  std::string name = text(paren - 1), head, limit = "1024", table, own_name = "\"" + name + "\"";
  bool is_template = is(start, "template");
  if (is_template) head = source(start, angle_end(start + 1) + 1);
  if (int k = attribute(start, paren, "max_total_threads_per_threadgroup"); k >= 0) limit = source(k + 2, match(k + 1));
  if (int k = attribute(start, paren, "host_name"); k >= 0) own_name = source(k + 2, match(k + 1));
  if (!kernels.count(name)) {
    table = " " + head + " struct " + name + "__limit { static constexpr unsigned value = " + limit + "; };";
    table += " static constexpr ::dsim::ParamAttr " + name + "__attrs[] = {";
    for (const std::string& row : rows) table += row + ", ";
    table += "{}};";
  }
  kernels.insert(name);
  if (!is_template) table += registration("&" + name, own_name, name, name + "__limit::value") + ";";
  at(close).after += table;
}

/// `template [[host_name("x")]] [[kernel]] decltype(f<A>) f<A>;`, or the older form with a parameter list, from which
/// the template's arguments follow.
void Translator::instance(int a, int b) {
  int where = find(a, b, "host_name");
  std::string host_name = source(where + 2, match(where + 1));
  int i = a + 1;
  while (is(i, "[")) i = match(i) + 1;
  i = is(i, "decltype") ? match(i + 1) + 1 : i + 1;
  while (is(i, "[") || is(i, "kernel") || is(i, "void")) i = is(i, "[") ? match(i) + 1 : i + 1;
  int end = b;
  for (int k : top_level(i, b))
    if (is(k, "(")) {
      end = k;
      break;
    }
  std::string id = source(i, end), name = text(i);
  bool explicit_arguments = is(i + 1, "<");
  std::string types;
  if (!explicit_arguments && end < b) {
    for (int k = end + 1; k < match(end); k++) {
      if (is(k, "[") && is(k + 1, "[")) {
        k = match(k);
        continue;
      }
      types += " " + text(k);
    }
  }
  if (!kernels.count(name) && !lint) return fail(a, "instantiation of an unknown kernel " + name);
  erase(a, b);
  if (lint)
    at(a).out = "template decltype(" + id + ") " + id;
  else if (explicit_arguments)
    at(a).out = registration("&" + id, host_name, name, name + "__limit" + id.substr(name.size()) + "::value");
  else
    at(a).out = registration("static_cast<void (*)(" + types + ")>(&" + name + ")", host_name, name, "1024");
}

/// One ParamAttr initialiser per parameter; pointers without an index take the next free slot.
std::vector<std::string> Translator::parameters(int paren) {
  std::vector<std::string> rows;
  std::map<std::string, int> next_slot;
  int close = match(paren);
  for (int i = paren + 1; i < close;) {
    int j = i;
    while (j < close && !is(j, ",")) {
      int angle = is(j, "<") && is_name(at(j - 1)) ? angle_end(j) : -1;
      j = angle >= 0 ? angle + 1 : is_open(text(j)) ? match(j) + 1 : j + 1;
    }
    rows.push_back(parameter(i, j, next_slot));
    i = j + 1;
  }
  return rows;
}

std::string Translator::parameter(int a, int b, std::map<std::string, int>& next_slot) {
  std::map<std::string, std::string> attributes;
  std::set<std::string> spaces;
  std::string name;
  bool pointer = false;
  for (int j = a; j < b; j++) {
    if (is(j, "[") && is(j + 1, "[")) {
      for (int k = j + 2; k < match(j + 1); k++) {
        bool called = is(k + 1, "(");
        attributes[text(k)] = called ? source(k + 2, match(k + 1)) : "";
        if (called) k = match(k + 1);
        if (is(k + 1, ",")) k++;
      }
      j = match(j);
      continue;
    }
    if (is(j, "<")) {
      int end = angle_end(j);
      if (end > 0) j = end;
      continue;
    }
    pointer |= is(j, "*") || is(j, "&") || is(j, "[");
    if (is_space(text(j))) spaces.insert(text(j));
    if (is_name(at(j)) && attributes.empty()) name = text(j);
  }
  for (const auto& [attribute, value] : attributes)
    if (is_builtin(attribute)) return "{::dsim::Kind::builtin, ::dsim::" + attribute + ", \"" + name + "\", nullptr}";
  std::string whole = source(a, b);
  if (!pointer) return fail(a, "parameter '" + whole + "' has no attribute that Metal knows"), "{}";
  bool local = attributes.count("threadgroup") > 0;
  bool fits = local ? spaces == std::set<std::string>{"threadgroup"}
                    : spaces == std::set<std::string>{"device"} || spaces == std::set<std::string>{"constant"};
  if (!fits) {
    fail(a, "the address space of parameter '" + whole + "' does not fit a " +
                (local ? "threadgroup" : "buffer") + " argument");
    return "{}";
  }
  std::string kind = local ? "threadgroup" : "buffer", index = attributes[kind];
  if (index.empty()) index = std::to_string(next_slot[kind]);
  if (isdigit(static_cast<unsigned char>(index[0]))) next_slot[kind] = atoi(index.c_str()) + 1;
  std::string enabled = attributes.count("function_constant") ? "&" + attributes["function_constant"] : "nullptr";
  return std::string("{::dsim::Kind::") + (local ? "local" : "buffer") + ", " + index + ", \"" + name + "\", " +
         enabled + "}";
}

}  // namespace dsim
