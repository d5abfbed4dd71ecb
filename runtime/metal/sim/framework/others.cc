// Labels, captures, archives: what has no effect on results.
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

METHOD("+MTLCaptureManager", "sharedCaptureManager", Object*, Object*, Sel) {
  static Object* manager = make<Object>("MTLCaptureManager");
  return manager;
}
METHOD("MTLCaptureManager", "supportsDestination:", bool, Object*, Sel, int64_t) { return false; }
METHOD("MTLCaptureManager", "isCapturing", bool, Object*, Sel) { return false; }
METHOD("MTLCaptureManager", "stopCapture", void, Object*, Sel) {}
METHOD("MTLCaptureManager", "startCaptureWithDescriptor:error:", bool, Object*, Sel, Object*, Error** error) {
  give_error(error, "the simulator records nothing");
  return false;
}
METHOD("+MTLCaptureDescriptor", "alloc", Object*, Object*, Sel) { return make<Object>("MTLCaptureDescriptor"); }
METHOD("MTLCaptureDescriptor", "setCaptureObject:", void, Object*, Sel, Object*) {}
METHOD("MTLCaptureDescriptor", "setDestination:", void, Object*, Sel, int64_t) {}
METHOD("MTLCaptureDescriptor", "setOutputURL:", void, Object*, Sel, Object*) {}

}  // namespace dsim

using namespace dsim;

extern "C" {

DSIM_EXPORT void dsim_stats(DsimStats* out, int reset) {
  const Stats& s = m.stats;
  *out = {s.dispatches, s.threadgroups, s.threads,     s.barriers,     s.command_buffers, s.pipelines,
          s.libraries,  s.compiled,     s.loads,       s.stores,       s.bytes_read,      s.bytes_written,
          s.unique_read, s.unique_written, s.collectives, s.switches, s.local_bytes, live_objects(), s.errors};
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
