// MTLCaptureManager: a "trace" is a folder with the names of the kernels that ran, one per line. Refused is what Apple
// refuses: a process that was not started for it, a second capture, a file that is there already.
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "framework/objects.h"

namespace dsim {

void link_capture() {}

struct CaptureDescriptor : Object {
  bool has_object = false;
  int64_t destination = 1;  // developer tools; 2: a document
  std::string path;
};
METHOD("+MTLCaptureDescriptor", "alloc", Object*, Object*, Sel) {
  return make<CaptureDescriptor>("MTLCaptureDescriptor");
}
METHOD("MTLCaptureDescriptor", "setCaptureObject:", void, CaptureDescriptor* d, Sel, Object* o) { d->has_object = o; }
METHOD("MTLCaptureDescriptor", "setDestination:", void, CaptureDescriptor* d, Sel, int64_t to) { d->destination = to; }
METHOD("MTLCaptureDescriptor", "setOutputURL:", void, CaptureDescriptor* d, Sel, String* url) { d->path = url->text; }

struct CaptureManager : Object {
  std::string path;  // of the capture at work
};
static bool is_enabled() {
  const char* wanted = setting("MTL_CAPTURE_ENABLED");
  return wanted && std::string(wanted) == "1";
}
METHOD("+MTLCaptureManager", "sharedCaptureManager", CaptureManager*, Object*, Sel) {
  static CaptureManager* manager = make<CaptureManager>("MTLCaptureManager");
  return manager;
}
METHOD("MTLCaptureManager", "supportsDestination:", bool, CaptureManager*, Sel, int64_t to) {
  return to == 2 && is_enabled();
}
METHOD("MTLCaptureManager", "isCapturing", bool, CaptureManager* c, Sel) { return !c->path.empty(); }

static std::string refusal(const CaptureManager& c, const CaptureDescriptor& d) {
  const std::string end = ".gputrace";
  if (!is_enabled()) return "Capturing is not supported: MTL_CAPTURE_ENABLED is not 1";
  if (!c.path.empty()) return "there is a capture already";
  if (!d.has_object || d.destination != 2) return "nothing to capture, or no document to capture it into";
  if (d.path.size() <= end.size() || d.path.compare(d.path.size() - end.size(), end.size(), end) != 0)
    return "the file does not end in .gputrace";
  return access(d.path.c_str(), F_OK) == 0 ? "the file is there already" : "";
}
METHOD("MTLCaptureManager", "startCaptureWithDescriptor:error:", bool, CaptureManager* c, Sel, CaptureDescriptor* d,
       Error** error) {
  const std::string why = refusal(*c, *d);
  if (!why.empty()) return give_error(error, why), false;
  c->path = d->path;
  std::lock_guard<std::mutex> lock(machine_guard());
  m.capturing = true;
  m.captured.clear();
  return true;
}
METHOD("MTLCaptureManager", "stopCapture", void, CaptureManager* c, Sel) {
  if (c->path.empty()) return;
  std::lock_guard<std::mutex> lock(machine_guard());
  m.capturing = false;
  mkdir(c->path.c_str(), 0755);
  std::ofstream file(c->path + "/kernels");
  for (const std::string& name : m.captured) file << name << "\n";
  c->path.clear();
}

}  // namespace dsim
