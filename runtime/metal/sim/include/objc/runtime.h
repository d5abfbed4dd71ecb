// What metal-cpp takes from Apple's header of this name, for Linux.
#pragma once

typedef struct objc_class* Class;
struct objc_object {};
typedef objc_object* id;
typedef struct objc_selector* SEL;
extern "C" SEL sel_registerName(const char* name);
extern "C" void* objc_lookUpClass(const char* name);
extern "C" void* objc_getProtocol(const char* name);
