// Labels, and the functions of sim.h.
#include <string.h>

#include "framework/objects.h"
#include "sim.h"
#include "translate/translate.h"

namespace dsim {

void link_others() {}

METHOD("NSObject", "setLabel:", void, Object* o, Sel, String* s) { o->label = s ? s->text : ""; }
METHOD("NSObject", "label", Object*, Object* o, Sel) { return string_of(o->label); }
METHOD("NSObject", "device", Object*, Object*, Sel) { return the_device(); }
METHOD("NSObject", "description", Object*, Object* o, Sel) { return string_of(o->isa->name); }

}  // namespace dsim

using namespace dsim;

extern "C" {

DSIM_EXPORT void dsim_stats(DsimStats* out, int reset) {
  const Stats& s = m.stats;
  *out = {s.dispatches, s.threadgroups, s.threads,     s.barriers,     s.command_buffers, s.pipelines,
          s.libraries,  s.compiled,     s.loads,       s.stores,       s.bytes_read,      s.bytes_written,
          s.unique_read, s.unique_written, s.collectives, s.switches, s.local_bytes, live_objects(), s.errors,
          resident_bytes()};
  if (reset) m.stats = {};
}
DSIM_EXPORT int64_t dsim_lint_text(const char* source, int version, char* out, uint64_t capacity) {
  CompileOptions options;
  options.language_version = version;
  TranslateOptions lint;
  lint.lint = true;
  std::string error, text = preprocess(source, options, error);
  if (error.empty()) text = translate(text, lint, error);
  const std::string& said = error.empty() ? text : error;
  uint64_t n = said.size() < capacity ? said.size() : capacity;
  memcpy(out, said.data(), n);
  return error.empty() ? static_cast<int64_t>(n) : -static_cast<int64_t>(n);
}
DSIM_EXPORT void dsim_measure(int on) { m.measure = on != 0; }
DSIM_EXPORT void dsim_check(const char* names) { configure_checks(names); }
DSIM_EXPORT void dsim_seed(uint64_t seed) { m.random = seed * 0x9e3779b97f4a7c15ull + 0x1234567; }

}
