// The sources of the kernels, as they lie in kernels/.
#include <string.h>

#include "metal/host.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

namespace denim::metal {

struct Source {
  const char* name;
  const char* text;
  size_t bytes;
};
#include "generated/metal_sources.h"

const char* source_text(const char* name, size_t* bytes) {
  for (const Source& s : kSources) {
    if (strcmp(s.name, name) != 0) continue;
    *bytes = s.bytes;
    return s.text;
  }
  return nullptr;
}

}  // namespace denim::metal
