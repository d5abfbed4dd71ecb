// The one place where metal-cpp defines what it declares: classes and selectors, looked up when the library is loaded.
// Names of constants are looked up by dlsym, as on a system older than the headers, so that the library needs no symbol
// that such a system lacks.
#include <dispatch/dispatch.h>
#include <dlfcn.h>
#include <mach/mach.h>
#include <math.h>
#include <objc/message.h>
#include <objc/runtime.h>
#include <pthread.h>
#undef __MAC_26_0
#undef __IPHONE_26_0
#undef __TVOS_26_0
#define NS_PRIVATE_IMPLEMENTATION
#define MTL_PRIVATE_IMPLEMENTATION
#include "metal/host.h"
