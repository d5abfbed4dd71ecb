// Metal Shading Language, preprocessed, to C++ that the shim (msl/) can compile. It works on tokens after macro
// expansion, because kernels hide entry points, attributes and instantiations behind macros; it knows scopes and
// brackets but no types: what needs a type is left to the compiler (msl/entry.h).
//   1. a kernel gets a table of its parameters' attributes, `name__attrs`;
//   2. `template [[host_name("x")]] ... f<A, B>` and plain kernels become registrations;
//   3. `constant T x [[function_constant(n)]]` becomes a value that is read when the library is loaded;
//   4. `threadgroup T a[n];` inside a function becomes a reference to threadgroup memory;
//   5. `float4(a, b)` becomes make<float4>(a, b); overloads that differ only in address space are dropped;
//   6. what Metal does not have (double, goto, virtual, pointers without address space ...) is refused.
#pragma once
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "translate/tokens.h"

namespace dsim {

struct TranslateOptions {
  bool lint = false;     // text for the address-space lint: address spaces stay, nothing is registered
  bool foreign = false;  // sources of others: pointers without an address space are accepted
};

/// The translated text, or an empty one and a message that begins with file and line.
std::string translate(std::string_view source, const TranslateOptions& options, std::string& error);

class Translator {
 public:
  Translator(const TranslateOptions& options) : lint(options.lint), foreign(options.foreign) {}
  std::string run(std::string_view source, std::string& error);

 private:
  // translate.cc: scopes and declarations
  void scope(int i, int end, const std::string& path, bool in_class);
  int braces(int start, int i, const std::string& path);
  int end_of_initialiser(int close);
  void declaration(int a, int b, const std::string& path, bool in_class);
  bool drop_duplicate(int a, int signature_end, int b, const std::string& path);
  void function(int start, int paren, int brace, int close, const std::string& path);
  void function_constant(int a, int b);
  std::vector<int> top_level(int a, int b);
  // kernels.cc: entry points
  void entry_point(int start, int paren, int close);
  void instance(int a, int b);
  std::vector<std::string> parameters(int paren);
  std::string parameter(int a, int b, std::map<std::string, int>& next_slot);
  std::string registration(const std::string& function, const std::string& host_name, const std::string& name,
                           const std::string& limit);
  int attribute(int a, int b, const char* name);
  // bodies.cc: what stands inside functions
  void threadgroup_variables(int a, int b);
  bool has_pointer(const std::vector<int>& head, size_t n) const;
  void constructed_variables(int a, int b);
  void find_vector_aliases();
  void constructors();
  void braced_argument(int i);
  void casts();
  void erase_attributes();
  void lint_threads();
  void lint_copies();
  // refuse.cc: what Metal does not have
  void refuse_words();
  void refuse_lambdas();
  void find_types();
  void refuse_plain_pointers();
  bool names_type(int i, int& end);

  const std::string& text(int i) const { return tokens[static_cast<size_t>(i)].text; }
  Token& at(int i) { return tokens[static_cast<size_t>(i)]; }
  bool is(int i, const char* t) const { return i >= 0 && i < count() && text(i) == t; }
  int match(int i) const { return tokens[static_cast<size_t>(i)].match; }
  int count() const { return static_cast<int>(tokens.size()); }
  bool contains(int a, int b, const char* t) const { return find(a, b, t) < b; }
  int find(int a, int b, const char* t) const {
    while (a < b && text(a) != t) a++;
    return a;
  }
  int angle_end(int i) const;  // the '>' that closes the '<' at i, or -1
  void erase(int a, int b);
  std::string source(int a, int b) const;
  void fail(int i, const std::string& what);
  std::string place(int i) const;

  bool lint, foreign;
  std::vector<Token> tokens;
  std::set<std::string> seen, vectors, types;
  std::set<std::string> kernels;
  int registrations = 0;
  std::string problem;
};

bool is_space(std::string_view t);  // device, constant, threadgroup, thread
bool is_scalar(std::string_view t);
bool is_vector(std::string_view t);  // float4 ...
bool is_name(const Token& t);

}  // namespace dsim
