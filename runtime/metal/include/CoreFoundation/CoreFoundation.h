// What metal-cpp takes from Apple's header of this name.
#pragma once
#include <stdint.h>

typedef double CFTimeInterval;
typedef const struct __CFString* CFStringRef;
