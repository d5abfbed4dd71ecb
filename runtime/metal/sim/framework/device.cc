// MTLDevice: what there is, and what it makes. The simulated GPU has the limits of Apple's (family Apple 7 and up).
#include <dlfcn.h>
#include <stdlib.h>

#include "framework/objects.h"

namespace dsim {

// The linker takes files of an archive that somebody names: these have methods only.
void link_foundation();
void link_buffer();
void link_library();
void link_commands();
void link_encoder();
void link_event();
void link_others();
void link_capture();

/// Its threads, and what ends with threads of the host, need the library until the process ends.
static void stay_loaded() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&stay_loaded), &self)) dlopen(self.dli_fname, RTLD_NOW | RTLD_NODELETE);
}
static Device* make_device() {
  stay_loaded();
  void (*const parts[])() = {link_foundation, link_buffer, link_library, link_commands,
                             link_encoder,    link_event,  link_others,  link_capture};
  for (void (*part)() : parts) part();
  if (const char* seed = setting("DENIM_METAL_SIM_SEED"))
    m.random ^= strtoull(seed, nullptr, 10) * 0x9e3779b97f4a7c15ull;
  if (setting("DENIM_METAL_RACE")) configure_checks("race");
  if (const char* relaxed = setting("DENIM_METAL_SIM_CHECKS")) configure_checks(relaxed);
  return make<Device>("MTLDevice");
}
Device* the_device() {
  static Device* d = make_device();
  return d;
}

METHOD("MTLDevice", "name", Object*, Device*, Sel) { return string_of("Simulated Apple GPU"); }
METHOD("MTLDevice", "registryID", uint64_t, Device*, Sel) { return 1; }
METHOD("MTLDevice", "architecture", Object*, Device*, Sel) {
  static Object* a = make<Object>("MTLArchitecture");
  return a;
}
METHOD("MTLArchitecture", "name", Object*, Object*, Sel) { return string_of("applegpu_sim"); }
METHOD("MTLDevice", "maxThreadsPerThreadgroup", Size3, Device*, Sel) {
  return {kMaxThreads, kMaxThreads, kMaxThreads};
}
METHOD("MTLDevice", "maxThreadgroupMemoryLength", uint64_t, Device*, Sel) { return kLocalLimit; }
uint64_t longest_buffer() {
  static const char* wanted = setting("DENIM_METAL_SIM_MAX_BUFFER");
  return wanted ? strtoull(wanted, nullptr, 10) : uint64_t{9} << 30;
}
METHOD("MTLDevice", "maxBufferLength", uint64_t, Device*, Sel) { return longest_buffer(); }
METHOD("MTLDevice", "recommendedMaxWorkingSetSize", uint64_t, Device*, Sel) { return uint64_t{12} << 30; }
METHOD("MTLDevice", "currentAllocatedSize", uint64_t, Device*, Sel) { return 0; }
METHOD("MTLDevice", "hasUnifiedMemory", bool, Device*, Sel) { return true; }
METHOD("MTLDevice", "isLowPower", bool, Device*, Sel) { return false; }
METHOD("MTLDevice", "isHeadless", bool, Device*, Sel) { return false; }
METHOD("MTLDevice", "isRemovable", bool, Device*, Sel) { return false; }
/// DENIM_METAL_SIM_FAMILY: the last of Apple's families that the device belongs to; Metal 3 begins with the seventh.
static int64_t last_family() {
  const char* wanted = setting("DENIM_METAL_SIM_FAMILY");
  return wanted ? strtoll(wanted, nullptr, 10) : 8;
}
bool has_metal3() { return last_family() >= 7; }
METHOD("MTLDevice", "supportsFamily:", bool, Device*, Sel, int64_t family) {
  const int64_t apple = 1000, metal3 = 5001;
  return (family > apple && family <= apple + last_family()) || (family == metal3 && has_metal3());
}

}  // namespace dsim

extern "C" {
DSIM_EXPORT void* MTLCreateSystemDefaultDevice() {
  const char* wanted = dsim::setting("DENIM_METAL");
  if (wanted && std::string(wanted) == "none") return nullptr;
  return dsim::retain(dsim::the_device());
}
DSIM_EXPORT void* MTLCopyAllDevices() { return nullptr; }
DSIM_EXPORT void* MTLCopyAllDevicesWithObserver(void*, void*) { return nullptr; }
DSIM_EXPORT void MTLRemoveDeviceObserver(void*) {}
}
