// Classes, selectors, references, autorelease pools.
#include "objc/runtime.h"

#include <stdio.h>
#include <stdlib.h>

#include <deque>
#include <map>
#include <mutex>
#include <vector>

namespace dsim {

struct Selector {
  std::string name;
};

// metal-cpp registers selectors in static initialisers, so the tables are made at their first use and never freed.
struct Tables {
  std::mutex guard;
  std::map<std::string, Class> classes;
  std::map<std::string, Selector> selectors;
  std::map<std::string, Object*> class_objects;
  std::unordered_map<const Object*, uint64_t> live;
  std::deque<Object*> dead;
  std::string reports;
  uint64_t serial = 0;
};
static Tables& tables() {
  static auto* t = new Tables;
  return *t;
}

static Class* class_unlocked(const char* name) {
  Class& c = tables().classes[name];
  if (c.name.empty()) {
    c.name = name;
    std::string base = name;
    const bool meta = base[0] == '+' && base != "+NSObject";
    c.super = base == "NSObject" ? nullptr : class_unlocked(meta ? "+NSObject" : "NSObject");
  }
  return &c;
}
Class* class_named(const char* name) {
  std::lock_guard<std::mutex> lock(tables().guard);
  return class_unlocked(name);
}
const Selector* selector_named(const char* name) {
  std::lock_guard<std::mutex> lock(tables().guard);
  Selector& s = tables().selectors[name];
  if (s.name.empty()) s.name = name;
  return &s;
}
void add_method(const char* cls, const char* selector, Imp imp) {
  class_named(cls)->methods.emplace(selector_named(selector), imp);
}

void adopt(Object* o, const char* cls) {
  Class* c = class_named(cls);
  std::lock_guard<std::mutex> lock(tables().guard);
  o->isa = c;
  o->serial = ++tables().serial;
  tables().live[o] = o->serial;
}
bool is_alive(const Object* o, uint64_t serial) {
  std::lock_guard<std::mutex> lock(tables().guard);
  auto found = tables().live.find(o);
  return found != tables().live.end() && found->second == serial;
}
uint64_t live_objects() {
  std::lock_guard<std::mutex> lock(tables().guard);
  return tables().live.size();
}

void report(const std::string& text) {
  std::lock_guard<std::mutex> lock(tables().guard);
  fprintf(stderr, "metal simulator: %s\n", text.c_str());
  tables().reports += (tables().reports.empty() ? "" : "; ") + text;
}
std::string take_reports() {
  std::lock_guard<std::mutex> lock(tables().guard);
  std::string out;
  out.swap(tables().reports);
  return out;
}

/// What remains of a released object.
struct Shell : Object {};

void release(Object* o) {
  if (!o) return;
  long left = o->references.fetch_sub(1) - 1;
  if (left > 0) return;
  if (left < 0) return report("released too often: " + o->isa->name + (o->label.empty() ? "" : " '" + o->label + "'"));
  std::string was = o->isa->name, label = o->label;
  Class* dead = class_named(("dead " + was).c_str());
  Object* free_now = nullptr;
  {
    std::lock_guard<std::mutex> lock(tables().guard);
    tables().live.erase(o);
  }
  o->~Object();
  Shell* shell = new (static_cast<void*>(o)) Shell();  // same address, so that late messages find it
  shell->isa = dead;
  shell->label = label;
  shell->references = 0;
  {
    std::lock_guard<std::mutex> lock(tables().guard);
    tables().dead.push_back(shell);
    if (tables().dead.size() > 4096) {
      free_now = tables().dead.front();
      tables().dead.pop_front();
    }
  }
  if (free_now) {
    free_now->~Object();
    ::operator delete(static_cast<void*>(free_now));
  }
}

// ---- autorelease pools ----------------------------------------------------------------------------------------------

struct Pool : Object {
  std::vector<Object*> held;
  ~Pool() override;
};
static thread_local std::vector<Pool*>* pools;

Pool::~Pool() {
  // Pools inside this one go with it.
  while (pools && !pools->empty()) {
    Pool* top = pools->back();
    pools->pop_back();
    if (top == this) break;
  }
  for (Object* o : held) release(o);
}

void autorelease(Object* o) {
  if (!o) return;
  if (!pools || pools->empty())
    return report("autoreleased with no pool in place, it leaks: " + o->isa->name);
  pools->back()->held.push_back(o);
}

Object* push_pool() {
  Pool* p = make<Pool>("NSAutoreleasePool");
  if (!pools) pools = new std::vector<Pool*>;
  pools->push_back(p);
  return p;
}
void pop_pool(Object* pool) { release(pool); }

METHOD("+NSAutoreleasePool", "alloc", Object*, Object*, const Selector*) { return make<Pool>("NSAutoreleasePool"); }
METHOD("NSAutoreleasePool", "init", Object*, Pool* p, const Selector*) {
  if (!pools) pools = new std::vector<Pool*>;
  pools->push_back(p);
  return p;
}
METHOD("NSAutoreleasePool", "drain", void, Pool* p, const Selector*) { release(p); }
METHOD("NSAutoreleasePool", "addObject:", void, Pool* p, const Selector*, Object* o) { p->held.push_back(o); }

METHOD("NSObject", "retain", Object*, Object* o, const Selector*) { return retain(o); }
METHOD("NSObject", "release", void, Object* o, const Selector*) { release(o); }
METHOD("NSObject", "autorelease", Object*, Object* o, const Selector*) { return autoreleased(o); }
METHOD("NSObject", "retainCount", uint64_t, Object* o, const Selector*) { return static_cast<uint64_t>(o->references); }
METHOD("NSObject", "init", Object*, Object* o, const Selector*) { return o; }
METHOD("NSObject", "hash", uint64_t, Object* o, const Selector*) { return o->serial; }
METHOD("NSObject", "isEqual:", bool, Object* o, const Selector*, Object* other) { return o == other; }
// Class objects live for ever.
METHOD("+NSObject", "retain", Object*, Object* o, const Selector*) { return o; }
METHOD("+NSObject", "release", void, Object*, const Selector*) {}

/// The method of a class or of one above it, or null.
static Imp method_of(const Class* c, const Selector* s) {
  for (; c; c = c->super) {
    auto found = c->methods.find(s);
    if (found != c->methods.end()) return found->second;
  }
  return nullptr;
}
METHOD("NSObject", "respondsToSelector:", bool, Object* o, const Selector*, const Selector* asked) {
  return method_of(o->isa, asked) != nullptr;
}
/// What a message finds: the method, or one that answers 0 for nil and for objects that are gone.
static Imp find_method(Object* o, const Selector* s) {
  const Imp nothing = reinterpret_cast<Imp>(+[]() -> uint64_t { return 0; });
  if (!o) return nothing;
  if (o->isa->name.compare(0, 5, "dead ") == 0) {
    report("message '" + s->name + "' to a released object: " + o->isa->name.substr(5) +
           (o->label.empty() ? "" : " '" + o->label + "'"));
    return nothing;
  }
  if (const Imp found = method_of(o->isa, s)) return found;
  fprintf(stderr, "metal simulator: no method [%s %s]\n", o->isa->name.c_str(), s->name.c_str());
  abort();
}

}  // namespace dsim

using namespace dsim;

extern "C" {
void* dsim_find_method(Object* o, const Selector* s) { return reinterpret_cast<void*>(find_method(o, s)); }

DSIM_EXPORT const Selector* sel_registerName(const char* name) { return selector_named(name); }
DSIM_EXPORT void* objc_lookUpClass(const char* name) {
  Class* meta = class_named((std::string("+") + name).c_str());
  std::lock_guard<std::mutex> lock(tables().guard);
  Object*& o = tables().class_objects[name];
  if (!o) {
    o = new Object();
    o->isa = meta;
  }
  return o;
}
DSIM_EXPORT void* objc_getClass(const char* name) { return objc_lookUpClass(name); }
DSIM_EXPORT void* objc_getProtocol(const char*) { return nullptr; }
}
