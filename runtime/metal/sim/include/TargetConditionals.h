// What metal-cpp takes from Apple's header of this name, for Linux.
#pragma once
#define TARGET_OS_OSX 1
#define TARGET_OS_MAC 1
#define TARGET_OS_IPHONE 0
