// As much of the Objective-C runtime as metal-cpp asks for: classes with methods by selector, counted references,
// autorelease pools, blocks. What the host does wrong with objects is told by name (report).
#pragma once
#include <stdint.h>

#include <atomic>
#include <string>
#include <unordered_map>

namespace dsim {

using Imp = void (*)();
struct Selector;
struct Class {
  std::string name;
  Class* super;
  std::unordered_map<const Selector*, Imp> methods;
};

/// Every object of the simulated frameworks. A released one is kept for a while as a shell whose class says what it
/// was, so that a message to it is a report and no crash.
struct Object {
  Class* isa = nullptr;
  std::atomic<long> references{1};
  uint64_t serial = 0;
  std::string label;
  virtual ~Object() = default;
};

Class* class_named(const char* name);
const Selector* selector_named(const char* name);
void add_method(const char* cls, const char* selector, Imp imp);

void adopt(Object* o, const char* cls);
template <class T>
T* make(const char* cls) {
  T* t = new T();
  adopt(t, cls);
  return t;
}
template <class T>
T* retain(T* o) {
  if (o) o->references.fetch_add(1);
  return o;
}
void release(Object* o);
/// Into the pool of this thread; without one it leaks, which is reported.
void autorelease(Object* o);
template <class T>
T* autoreleased(T* o) {
  autorelease(o);
  return o;
}
/// A pool of this thread, and its end.
Object* push_pool();
void pop_pool(Object* pool);
/// Whether the object of this serial number still lives there.
bool is_alive(const Object* o, uint64_t serial);
uint64_t live_objects();

/// A mistake of the host outside of any kernel: printed, and the error of the next command buffer.
void report(const std::string& text);
/// The reports since the last call, or an empty text.
std::string take_reports();

/// Holds a reference.
template <class T>
class Ref {
 public:
  Ref(T* o = nullptr) : at(retain(o)) {}
  Ref(const Ref& r) : at(retain(r.at)) {}
  Ref(Ref&& r) noexcept : at(r.at) { r.at = nullptr; }
  Ref& operator=(Ref r) {
    T* t = at;
    at = r.at;
    r.at = t;
    return *this;
  }
  ~Ref() {
    if (at) release(at);
  }
  T* operator->() const { return at; }
  T* get() const { return at; }
  explicit operator bool() const { return at != nullptr; }

 private:
  T* at;
};

}  // namespace dsim

// METHOD(class, selector, result, self, arguments...) { body }: a method, added to its class before main begins. The
// class "+X" is the class object of X.
#define DSIM_CAT2(a, b) a##b
#define DSIM_CAT(a, b) DSIM_CAT2(a, b)
#define METHOD(cls, selector, result, ...) DSIM_METHOD(DSIM_CAT(method_, __LINE__), cls, selector, result, __VA_ARGS__)
#define DSIM_METHOD(id, cls, selector, result, ...)                                                        \
  static result id(__VA_ARGS__);                                                                           \
  [[maybe_unused]] static const bool DSIM_CAT(id, _added) =                                                \
      (::dsim::add_method(cls, selector, reinterpret_cast<::dsim::Imp>(&id)), true);                       \
  static result id(__VA_ARGS__)

#define DSIM_EXPORT __attribute__((visibility("default")))
extern "C" {
void* _Block_copy(const void* block);
void _Block_release(const void* block);
}
