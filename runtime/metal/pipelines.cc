// Compiled kernels, by the hash of all that they are made of: sources, defines, constants, function. Each is compiled
// once; a library (sources and defines) serves all its functions and constants.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metal/host.h"

namespace denim::metal {

// ---- texts ----------------------------------------------------------------------------------------------------------
/// Text that grows. A source gets its includes replaced by what they name, each once.
struct Text {
  char* at;
  size_t n, capacity;
  const char* included[16];
  int n_included;

  void add(const char* from, size_t bytes) {
    if (n + bytes + 1 > capacity) {
      capacity = 2 * (n + bytes + 1);
      at = static_cast<char*>(realloc(at, capacity));
      if (!at) abort();
    }
    memcpy(at + n, from, bytes);
    n += bytes;
    at[n] = 0;
  }
  void add(const char* from) { add(from, strlen(from)); }
  __attribute__((format(printf, 2, 3))) void format(const char* pattern, ...) {
    char line[512];
    va_list args;
    va_start(args, pattern);
    vsnprintf(line, sizeof line, pattern, args);
    va_end(args);
    add(line);
  }
  /// "A=1;B=float" as lines of #define.
  void add_defines(const char* defines) {
    while (*defines) {
      const char* end = strchrnul_(defines, ';');
      const char* equals = static_cast<const char*>(memchr(defines, '=', static_cast<size_t>(end - defines)));
      add("#define ");
      add(defines, static_cast<size_t>((equals ? equals : end) - defines));
      add(" ");
      if (equals) add(equals + 1, static_cast<size_t>(end - equals - 1));
      add("\n");
      defines = *end ? end + 1 : end;
    }
  }
  static const char* strchrnul_(const char* s, char c) {
    const char* found = strchr(s, c);
    return found ? found : s + strlen(s);
  }
  /// The text of a file, with #line so that what is said of it names it; false if an include is not there.
  bool add_source(const char* name, const char* text) {
    format("#line 1 \"%s.metal\"\n", name);
    int number = 1;
    for (const char* line = text; *line; number++) {
      const char* end = strchrnul_(line, '\n');
      const size_t bytes = static_cast<size_t>(end - line) + (*end ? 1 : 0);
      char other[64];
      if (sscanf(line, "#include \"%63[^.\"].metal\"", other) == 1) {
        if (!add_file(other)) return false;
        format("#line %d \"%s.metal\"\n", number + 1, name);
      } else {
        add(line, bytes);
      }
      line += bytes;
    }
    add("\n");
    return true;
  }
  bool add_file(const char* name) {
    for (int i = 0; i < n_included; i++) if (strcmp(included[i], name) == 0) return true;
    size_t bytes;
    const char* text = source_text(name, &bytes);
    if (!text || n_included == 16) return false;
    char* kept = strdup(name);
    if (!kept) abort();
    included[n_included++] = kept;
    return add_source(name, text);
  }
  void free_all() {
    for (int i = 0; i < n_included; i++) free(const_cast<char*>(included[i]));
    free(at);
  }
};

static uint64_t hash(uint64_t h, const void* data, size_t bytes) {
  const uint8_t* at = static_cast<const uint8_t*>(data);
  for (size_t i = 0; i < bytes; i++) h = (h ^ at[i]) * 0x100000001b3u;
  return (h ^ bytes) * 0x9e3779b97f4a7c15u;
}
static uint64_t hash(uint64_t h, const char* text) { return hash(h, text, strlen(text)); }
/// Two hashes of different starts: 128 bits, so that no two kernels are ever taken for one.
struct Key {
  uint64_t a, b;
  bool operator==(const Key& other) const { return a == other.a && b == other.b; }
};
static Key library_key(const Wanted& w) {
  Key k = {0xcbf29ce484222325u, 0x84222325cbf29ce4u};
  uint64_t* const both[] = {&k.a, &k.b};
  for (uint64_t* h : both) {
    *h = hash(*h, w.text ? w.text : w.source);
    *h = hash(*h, w.defines);
  }
  return k;
}
static Key pipeline_key(const Key& library, const Wanted& w) {
  Key k = library;
  uint64_t* const both[] = {&k.a, &k.b};
  for (uint64_t* h : both) {
    *h = hash(*h, w.function);
    *h = hash(*h, w.constants, sizeof(int32_t) * static_cast<size_t>(w.n_constants));
  }
  return k;
}

// ---- tables ---------------------------------------------------------------------------------------------------------
enum State : uint8_t { kNew, kCompiling, kDone };
struct Library {
  Library* next;
  Key key;
  State state;
  MTL::Library* library;
  char error[900];
};
struct Entry {
  Entry* next;
  Key key;
  State state;
  bool ordered;
  Pipeline pipeline;
  char error[900];
};
constexpr int kBuckets = 1024;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_compiled = PTHREAD_COND_INITIALIZER;
static Library* g_libraries[kBuckets];
static Entry* g_entries[kBuckets];

/// The entry of that key. Under the mutex.
template <class T>
static T* entry(T** table, const Key& key) {
  T*& bucket = table[key.a % kBuckets];
  for (T* e = bucket; e; e = e->next) if (e->key == key) return e;
  T* e = static_cast<T*>(calloc(1, sizeof(T)));
  if (!e) abort();
  e->key = key;
  e->next = bucket;
  bucket = e;
  return e;
}
/// Is it the caller who compiles this one? Under the mutex.
static bool claim(State* state) {
  if (*state != kNew) return false;
  *state = kCompiling;
  return true;
}

// ---- compiling ------------------------------------------------------------------------------------------------------
static MTL::CompileOptions* new_options() {
  MTL::CompileOptions* options = MTL::CompileOptions::alloc()->init();
  options->setLanguageVersion(hardware().language);
  options->setFastMathEnabled(false);
  return options;
}
/// The whole source, or null with the reason in `error`.
static NS::String* new_source(const Wanted& w, char* error, size_t capacity) {
  Text text = {};
  bool found = text.add_file("common");  // it includes Metal's own library, which no define may touch
  text.add_defines(w.defines);
  found = found && (w.text ? text.add_source(w.source, w.text) : text.add_file(w.source));
  NS::String* source = found ? string(text.at) : nullptr;
  if (!found) snprintf(error, capacity, "no source of this name, or of one that it includes");
  text.free_all();
  return source;
}
static void compile_library(Library* library, const Wanted& w) {
  NS::String* source = new_source(w, library->error, sizeof library->error);
  if (!source) return;
  MTL::CompileOptions* options = new_options();
  NS::Error* error = nullptr;
  library->library = hardware().device->newLibrary(source, options, &error);
  options->release();
  if (!library->library) describe(error, library->error, sizeof library->error);
}
static MTL::Function* new_function(MTL::Library* library, const Wanted& w, NS::Error** error) {
  MTL::FunctionConstantValues* values = MTL::FunctionConstantValues::alloc()->init();
  for (int i = 0; i < w.n_constants; i++)
    values->setConstantValue(&w.constants[i], MTL::DataTypeInt, static_cast<NS::UInteger>(i));
  MTL::Function* function = library->newFunction(string(w.function), values, error);
  values->release();
  return function;
}
static void compile_pipeline(Entry* e, MTL::Library* library, const Wanted& w) {
  NS::Error* error = nullptr;
  MTL::Function* function = new_function(library, w, &error);
  if (function) {
    e->pipeline.state = hardware().device->newComputePipelineState(function, &error);
    function->release();
  }
  if (e->pipeline.state) {
    e->pipeline.max_threads = static_cast<int>(e->pipeline.state->maxTotalThreadsPerThreadgroup());
    count(&g_counters.pipelines);
  } else {
    describe(error, e->error, sizeof e->error);
  }
}
static void done(State* state) {
  pthread_mutex_lock(&g_mutex);
  *state = kDone;
  pthread_cond_broadcast(&g_compiled);
  pthread_mutex_unlock(&g_mutex);
}
static void await(const State* state) {
  pthread_mutex_lock(&g_mutex);
  while (*state != kDone) pthread_cond_wait(&g_compiled, &g_mutex);
  pthread_mutex_unlock(&g_mutex);
}
static Library* library_of(const Key& key, const Wanted& w) {
  pthread_mutex_lock(&g_mutex);
  Library* library = entry(g_libraries, key);
  const bool mine = claim(&library->state);
  pthread_mutex_unlock(&g_mutex);
  if (mine) {
    compile_library(library, w);
    done(&library->state);
  }
  await(&library->state);
  return library;
}
static void compile(Entry* e, const Key& key, const Wanted& w) {
  AutoreleasePool pool;
  const Library* library = library_of(key, w);
  if (library->library) compile_pipeline(e, library->library, w);
  else snprintf(e->error, sizeof e->error, "%s", library->error);
  e->pipeline.error = e->error;
  done(&e->state);
}

// ---- in the background ----------------------------------------------------------------------------------------------
/// A copy of what is wanted, for the thread that compiles what nobody waits for. Who comes to wait for it meanwhile
/// compiles it himself.
struct Order {
  Order* next;
  Entry* entry;
  Key key;
  Wanted wanted;
};
static Order *g_first, *g_last;
static bool g_started;
static pthread_cond_t g_ordered = PTHREAD_COND_INITIALIZER;

static void free_order(Order* order) {
  const Wanted& w = order->wanted;
  const char* const texts[] = {w.source, w.text, w.function, w.defines};
  for (const char* text : texts) free(const_cast<char*>(text));
  free(const_cast<int32_t*>(w.constants));
  free(order);
}
static void* compile_orders(void*) {
  for (;;) {
    pthread_mutex_lock(&g_mutex);
    while (!g_first) pthread_cond_wait(&g_ordered, &g_mutex);
    Order* order = g_first;
    g_first = order->next;
    if (!g_first) g_last = nullptr;
    const bool mine = claim(&order->entry->state);
    pthread_mutex_unlock(&g_mutex);
    if (mine) compile(order->entry, order->key, order->wanted);
    free_order(order);
  }
}
static char* copy(const char* text) {
  char* kept = strdup(text);
  if (!kept) abort();
  return kept;
}
/// Under the mutex.
static void compile_later(Entry* e, const Key& key, const Wanted& w) {
  Order* order = static_cast<Order*>(calloc(1, sizeof(Order)));
  int32_t* constants = static_cast<int32_t*>(calloc(static_cast<size_t>(w.n_constants) + 1, sizeof(int32_t)));
  if (!order || !constants) abort();
  if (w.n_constants) memcpy(constants, w.constants, sizeof(int32_t) * static_cast<size_t>(w.n_constants));
  const Wanted kept = {copy(w.source),  w.text ? copy(w.text) : nullptr, copy(w.function),
                       copy(w.defines), constants,                       w.n_constants};
  *order = {nullptr, e, key, kept};
  if (g_last) g_last->next = order;
  else g_first = order;
  g_last = order;
  pthread_t thread;
  if (!g_started && pthread_create(&thread, nullptr, compile_orders, nullptr) == 0) {
    g_started = true;
    pthread_detach(thread);
  }
  pthread_cond_signal(&g_ordered);
}

const Pipeline* pipeline(const Wanted& w, bool wait) {
  const Key of_library = library_key(w), key = pipeline_key(of_library, w);
  pthread_mutex_lock(&g_mutex);
  Entry* e = entry(g_entries, key);
  const State state = e->state;
  const bool mine = wait && claim(&e->state);
  if (!wait && !e->ordered) {
    e->ordered = true;
    if (state == kNew) compile_later(e, of_library, w);
  }
  pthread_mutex_unlock(&g_mutex);
  if (state == kDone) return &e->pipeline;
  if (!wait) return nullptr;
  if (mine) compile(e, of_library, w);
  await(&e->state);
  return &e->pipeline;
}

}  // namespace denim::metal
