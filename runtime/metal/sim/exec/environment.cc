// The environment as it was when the library was opened. Kernels are compiled on threads of the host while programs may
// change theirs, and the C library lets nobody read an environment that another thread changes.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "exec/library.h"

extern char** environ;

namespace dsim {

static std::vector<char*>* copied;

/// Runs as the library is opened, on the thread that opens it.
__attribute__((constructor)) static void copy_environment() {
  setenv("DENIM_METAL_MARKS", "1", 0);  // the host says what each dispatch may touch
  copied = new std::vector<char*>;
  for (char** at = environ; *at; at++) copied->push_back(strdup(*at));
  copied->push_back(nullptr);
}
char** environment() { return copied->data(); }

const char* setting(const char* name) {
  const size_t n = strlen(name);
  for (const char* pair : *copied)
    if (pair && strncmp(pair, name, n) == 0 && pair[n] == '=') return pair + n + 1;
  return nullptr;
}

std::string program_path(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  std::string folders = setting("PATH") ? setting("PATH") : "";
  for (size_t from = 0; from <= folders.size();) {
    const size_t end = std::min(folders.find(':', from), folders.size());
    std::string path = folders.substr(from, end - from) + "/" + name;
    if (access(path.c_str(), X_OK) == 0) return path;
    from = end + 1;
  }
  return name;
}

}  // namespace dsim
