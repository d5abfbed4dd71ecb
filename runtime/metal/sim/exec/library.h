// Libraries of kernels: a source in Metal's language becomes a shared object (translate/, then the compiler that builds
// the project), kept in a cache folder by hash; each set of function constants loads a copy of its own.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "exec/machine.h"

namespace dsim {

struct CompileOptions {
  bool fast_math = true;
  int language_version = 0x30002;  // major << 16 | minor
  std::map<std::string, std::string> macros;
  bool foreign = false;            // MLX's sources: Apple's internal names exist, plain pointers are accepted
  std::string include;             // a folder for #include, of foreign sources
};

/// The shared object's path, or an empty string and what the compiler says.
std::string compile_library(const std::string& source, const CompileOptions& options, std::string& error);

struct ConstantValue {
  uint32_t size;
  unsigned char bytes[16];
};
using Constants = std::map<uint32_t, ConstantValue>;

/// A loaded copy, and what its kernels are.
struct Loaded {
  Image image;
  std::vector<const Kernel*> kernels;
  std::vector<std::string> missing;  // function constants that it has and that were not given
  const Kernel* find(const std::string& name) const;
};

/// Loads the shared object with these function constants; the same set again gives the same copy.
std::shared_ptr<const Loaded> load_library(const std::string& path, const Constants& constants, std::string& error);

/// The text that the lint reads (scripts/metal_lint.ts).
std::string preprocess(const std::string& source, const CompileOptions& options, std::string& error);
std::string shim_folder();
std::string cache_folder();

// ---- environment.cc -------------------------------------------------------------------------------------------------
/// The environment that the library was opened in.
char** environment();
/// A variable of it, or null.
const char* setting(const char* name);
/// Where a program is that the environment's PATH leads to.
std::string program_path(const std::string& name);

}  // namespace dsim
