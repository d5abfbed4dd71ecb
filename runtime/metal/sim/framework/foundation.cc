// Foundation: strings, numbers, arrays, dictionaries, URLs, errors, and what the process is told of the system.
#include <stdlib.h>
#include <string.h>

#include "framework/objects.h"

namespace dsim {

void link_foundation() {}

String* string_of(const std::string& text) {
  String* s = make<String>("NSString");
  s->text = text;
  return autoreleased(s);
}
void give_error(Error** out, const std::string& text) {
  if (!out) return;
  Error* e = make<Error>("NSError");
  e->text = text;
  *out = autoreleased(e);
}

METHOD("+NSString", "alloc", Object*, Object*, Sel) { return make<String>("NSString"); }
METHOD("+NSString", "string", Object*, Object*, Sel) { return string_of(""); }
METHOD("+NSString", "stringWithString:", Object*, Object*, Sel, String* s) { return string_of(s->text); }
METHOD("+NSString", "stringWithCString:encoding:", Object*, Object*, Sel, const char* s, uint64_t) {
  return string_of(s);
}
METHOD("NSString", "initWithString:", Object*, String* o, Sel, String* s) {
  o->text = s->text;
  return o;
}
METHOD("NSString", "initWithCString:encoding:", Object*, String* o, Sel, const char* s, uint64_t) {
  o->text = s;
  return o;
}
METHOD("NSString", "initWithBytesNoCopy:length:encoding:freeWhenDone:", Object*, String* o, Sel, void* s, uint64_t n,
       uint64_t, bool free_it) {
  o->text.assign(static_cast<const char*>(s), n);
  if (free_it) free(s);
  return o;
}
METHOD("NSString", "UTF8String", const char*, String* o, Sel) { return o->text.c_str(); }
METHOD("NSString", "cStringUsingEncoding:", const char*, String* o, Sel, uint64_t) { return o->text.c_str(); }
METHOD("NSString", "length", uint64_t, String* o, Sel) { return o->text.size(); }
METHOD("NSString", "lengthOfBytesUsingEncoding:", uint64_t, String* o, Sel, uint64_t) { return o->text.size(); }
METHOD("NSString", "isEqualToString:", bool, String* o, Sel, String* s) { return o->text == s->text; }
METHOD("NSString", "characterAtIndex:", uint16_t, String* o, Sel, uint64_t i) {
  return static_cast<uint16_t>(static_cast<unsigned char>(o->text[i]));
}
METHOD("NSString", "description", Object*, String* o, Sel) { return o; }

METHOD("NSError", "localizedDescription", Object*, Error* e, Sel) { return string_of(e->text); }
METHOD("NSError", "description", Object*, Error* e, Sel) { return string_of(e->text); }
METHOD("NSError", "localizedFailureReason", Object*, Error*, Sel) { return nullptr; }
METHOD("NSError", "domain", Object*, Error*, Sel) { return string_of("MTLCommandBufferErrorDomain"); }
METHOD("NSError", "code", int64_t, Error* e, Sel) { return e->code; }

static Object* new_number(double value, int64_t integer) {
  Number* n = make<Number>("NSNumber");
  n->value = value, n->integer = integer;
  return autoreleased(n);
}
METHOD("+NSNumber", "numberWithInt:", Object*, Object*, Sel, int v) { return new_number(v, v); }
METHOD("+NSNumber", "numberWithUnsignedInteger:", Object*, Object*, Sel, uint64_t v) {
  return new_number(static_cast<double>(v), static_cast<int64_t>(v));
}
METHOD("+NSNumber", "numberWithBool:", Object*, Object*, Sel, bool v) { return new_number(v, v); }
METHOD("+NSNumber", "numberWithDouble:", Object*, Object*, Sel, double v) {
  return new_number(v, static_cast<int64_t>(v));
}
METHOD("NSNumber", "intValue", int, Number* n, Sel) { return static_cast<int>(n->integer); }
METHOD("NSNumber", "boolValue", bool, Number* n, Sel) { return n->integer != 0; }
METHOD("NSNumber", "doubleValue", double, Number* n, Sel) { return n->value; }
METHOD("NSNumber", "unsignedIntegerValue", uint64_t, Number* n, Sel) { return static_cast<uint64_t>(n->integer); }

static Object* new_array(Object* const* items, uint64_t n) {
  Array* a = make<Array>("NSArray");
  for (uint64_t i = 0; i < n; i++) a->items.push_back(Ref<Object>(items[i]));
  return autoreleased(a);
}
METHOD("+NSArray", "array", Object*, Object*, Sel) { return new_array(nullptr, 0); }
METHOD("+NSArray", "arrayWithObject:", Object*, Object*, Sel, Object* o) { return new_array(&o, 1); }
METHOD("+NSArray", "arrayWithObjects:count:", Object*, Object*, Sel, Object* const* o, uint64_t n) {
  return new_array(o, n);
}
METHOD("+NSArray", "alloc", Object*, Object*, Sel) { return make<Array>("NSArray"); }
METHOD("NSArray", "initWithObjects:count:", Object*, Array* a, Sel, Object* const* o, uint64_t n) {
  for (uint64_t i = 0; i < n; i++) a->items.push_back(Ref<Object>(o[i]));
  return a;
}
METHOD("NSArray", "count", uint64_t, Array* a, Sel) { return a->items.size(); }
METHOD("NSArray", "objectAtIndex:", Object*, Array* a, Sel, uint64_t i) {
  if (i < a->items.size()) return a->items[i].get();
  report("objectAtIndex: " + std::to_string(i) + " of an array of " + std::to_string(a->items.size()));
  return nullptr;
}

static Object* new_dictionary(Object* const* values, Object* const* keys, uint64_t n) {
  Dictionary* d = make<Dictionary>("NSDictionary");
  for (uint64_t i = 0; i < n; i++) d->items.push_back({Ref<Object>(keys[i]), Ref<Object>(values[i])});
  return autoreleased(d);
}
METHOD("+NSDictionary", "dictionary", Object*, Object*, Sel) { return new_dictionary(nullptr, nullptr, 0); }
METHOD("+NSDictionary", "dictionaryWithObject:forKey:", Object*, Object*, Sel, Object* v, Object* k) {
  return new_dictionary(&v, &k, 1);
}
METHOD("+NSDictionary", "dictionaryWithObjects:forKeys:count:", Object*, Object*, Sel, Object* const* v,
       Object* const* k, uint64_t n) {
  return new_dictionary(v, k, n);
}
METHOD("NSDictionary", "count", uint64_t, Dictionary* d, Sel) { return d->items.size(); }

METHOD("+NSURL", "fileURLWithPath:", Object*, Object*, Sel, String* path) { return string_of(path->text); }
METHOD("+NSURL", "alloc", Object*, Object*, Sel) { return make<String>("NSString"); }
METHOD("NSString", "initFileURLWithPath:", Object*, String* o, Sel, String* path) {
  o->text = path->text;
  return o;
}
METHOD("NSString", "fileSystemRepresentation", const char*, String* o, Sel) { return o->text.c_str(); }

/// DENIM_METAL_SIM_OS is the version of macOS that the process is told of.
static Size3 system_version() {
  const char* wanted = setting("DENIM_METAL_SIM_OS");
  return {wanted ? strtoull(wanted, nullptr, 10) : 15, 0, 0};
}
METHOD("+NSProcessInfo", "processInfo", Object*, Object*, Sel) {
  static Object* info = make<Object>("NSProcessInfo");
  return info;
}
METHOD("NSProcessInfo", "operatingSystemVersion", Size3, Object*, Sel) { return system_version(); }
METHOD("NSProcessInfo", "isOperatingSystemAtLeastVersion:", bool, Object*, Sel, Size3 v) {
  Size3 own = system_version();
  return own.x > v.x || (own.x == v.x && own.y >= v.y);
}
METHOD("NSProcessInfo", "operatingSystemVersionString", Object*, Object*, Sel) {
  return string_of("Version " + std::to_string(system_version().x) + ".0 (simulated)");
}
METHOD("NSProcessInfo", "physicalMemory", uint64_t, Object*, Sel) { return uint64_t{16} << 30; }

}  // namespace dsim
