// Finds the device, and says what it is.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metal/host.h"

namespace denim::metal {

gpu::Counters g_counters;
static Hardware g_hardware;
static pthread_once_t g_once = PTHREAD_ONCE_INIT;

NS::String* string(const char* text) { return NS::String::string(text, NS::UTF8StringEncoding); }

void describe(const NS::Error* error, char* text, size_t capacity) {
  const NS::String* said = error ? error->localizedDescription() : nullptr;
  const char* from = said ? said->utf8String() : "no reason given";
  size_t n = 0;
  for (; from[n] && n + 1 < capacity; n++) text[n] = from[n] == '\n' ? ' ' : from[n];
  text[n] = 0;
}

/// Metal does not tell how many cores a GPU has; the last letter of its architecture tells its size.
static int cores_of(MTL::Device* device) {
  const char* name = device->name()->utf8String();
  if (strstr(name, "Ultra")) return 64;
  if (strstr(name, "Max")) return 32;
  return strstr(name, "Pro") ? 16 : 8;
}
static MTL::LanguageVersion language_of(const NS::OperatingSystemVersion& system) {
  if (system.majorVersion >= 15) return MTL::LanguageVersion3_2;
  return system.majorVersion == 14 ? MTL::LanguageVersion3_1 : MTL::LanguageVersion3_0;
}
static void find() {
  AutoreleasePool pool;
  Hardware& h = g_hardware;
  h.device = MTL::CreateSystemDefaultDevice();
  if (!h.device) return;
  h.system = NS::ProcessInfo::processInfo()->operatingSystemVersion();
  h.language = language_of(h.system);
  h.cores = cores_of(h.device);
  h.nothing = h.device->newBuffer(256, MTL::ResourceStorageModeShared | MTL::ResourceHazardTrackingModeUntracked);
  const auto from = [](const char* name) { return getenv(name) ? getenv(name) : ""; };
  h.marks = getenv("DENIM_METAL_MARKS") != nullptr;
  h.joins = strcmp(from("DENIM_METAL_JOIN"), "never") != 0;
  snprintf(h.jit, sizeof h.jit, "%s", from("DENIM_METAL_JIT"));
  // The device of a virtual machine (GitHub's, say) may lack them whatever the system: there the message would abort.
  if (h.system.majorVersion >= 15 && h.device->supportsFamily(MTL::GPUFamilyMetal3)) {
    MTL::ResidencySetDescriptor* descriptor = MTL::ResidencySetDescriptor::alloc()->init();
    NS::Error* error = nullptr;
    h.resident = h.device->newResidencySet(descriptor, &error);
    descriptor->release();
  }
}
const Hardware& hardware() {
  pthread_once(&g_once, find);
  return g_hardware;
}

static Failure* no_capture(const char* got) {
  return make_failure(kBadArgument,
                      "record the work of the GPU\na new file ending in .gputrace, and MTL_CAPTURE_ENABLED=1 in the "
                      "environment\n%s\nstart the process with MTL_CAPTURE_ENABLED=1\nstartCapture",
                      got);
}
}  // namespace denim::metal

namespace denim::gpu {
using namespace metal;

bool available() { return hardware().device != nullptr; }

Counters counters() {
  Counters c;
  __atomic_load(&g_counters.dispatches, &c.dispatches, __ATOMIC_RELAXED);
  __atomic_load(&g_counters.barriers, &c.barriers, __ATOMIC_RELAXED);
  __atomic_load(&g_counters.command_buffers, &c.command_buffers, __ATOMIC_RELAXED);
  __atomic_load(&g_counters.pipelines, &c.pipelines, __ATOMIC_RELAXED);
  __atomic_load(&g_counters.bytes, &c.bytes, __ATOMIC_RELAXED);
  __atomic_load(&g_counters.fallbacks, &c.fallbacks, __ATOMIC_RELAXED);
  return c;
}

size_t info(char* text, size_t capacity) {
  if (!available()) return 0;
  AutoreleasePool pool;
  const Hardware& h = hardware();
  const char* architecture = h.system.majorVersion >= 14 ? h.device->architecture()->name()->utf8String() : "unknown";
  int n = snprintf(text, capacity,
                   "gpu deviceName %s\ngpu architecture %s\ngpu system %d.%d.%d\ngpu maxBufferLength %llu\ngpu "
                   "maxRecommendedWorkingSetSize %llu\ngpu memorySize %lld\n",
                   h.device->name()->utf8String(), architecture, static_cast<int>(h.system.majorVersion),
                   static_cast<int>(h.system.minorVersion), static_cast<int>(h.system.patchVersion),
                   static_cast<unsigned long long>(h.device->maxBufferLength()),
                   static_cast<unsigned long long>(h.device->recommendedMaxWorkingSetSize()),
                   static_cast<long long>(total_memory()));
  return n > 0 && static_cast<size_t>(n) < capacity ? static_cast<size_t>(n) : 0;
}

Failure* capture(const char* path) {
  if (!available()) return no_capture("no device");
  AutoreleasePool pool;
  MTL::CaptureManager* manager = MTL::CaptureManager::sharedCaptureManager();
  if (!path) {
    manager->stopCapture();
    return nullptr;
  }
  MTL::CaptureDescriptor* descriptor = MTL::CaptureDescriptor::alloc()->init();
  descriptor->setCaptureObject(reinterpret_cast<NS::Object*>(hardware().device));
  descriptor->setDestination(MTL::CaptureDestinationGPUTraceDocument);
  descriptor->setOutputURL(NS::URL::fileURLWithPath(string(path)));
  NS::Error* error = nullptr;
  const bool started = manager->startCapture(descriptor, &error);
  descriptor->release();
  if (started) return nullptr;
  char text[300];
  describe(error, text, sizeof text);
  return no_capture(text);
}

}  // namespace denim::gpu
