// What metal-cpp takes from Apple's header of this name.
#pragma once

typedef struct __IOSurface* IOSurfaceRef;
