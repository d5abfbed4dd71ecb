// The one place where metal-cpp defines what it declares: classes and selectors, looked up when the library is loaded.
// Names of constants are looked up by dlsym, as on a system older than the headers, so that the library needs no symbol
// that such a system lacks.
#if __has_include(<AvailabilityVersions.h>)
#include <AvailabilityVersions.h>
#undef __MAC_26_0
#endif
#define NS_PRIVATE_IMPLEMENTATION
#define MTL_PRIVATE_IMPLEMENTATION
#include "metal/host.h"
