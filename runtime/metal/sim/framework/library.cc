// MTLLibrary, MTLFunction, function constants, pipelines, archives.
#include <string.h>

#include <thread>

#include "framework/objects.h"

namespace dsim {

void link_library() {}

METHOD("+MTLCompileOptions", "alloc", Object*, Object*, Sel) {
  return make<CompileOptionsObject>("MTLCompileOptions");
}
METHOD("MTLCompileOptions", "setFastMathEnabled:", void, CompileOptionsObject* o, Sel, bool on) {
  o->options.fast_math = on;
}
METHOD("MTLCompileOptions", "setMathMode:", void, CompileOptionsObject* o, Sel, int64_t mode) {
  o->options.fast_math = mode == 2;  // 0 safe, 1 relaxed, 2 fast
}
METHOD("MTLCompileOptions", "setMathFloatingPointFunctions:", void, CompileOptionsObject* o, Sel, int64_t precise) {
  o->options.fast_math = precise == 0;
}
METHOD("MTLCompileOptions", "setLanguageVersion:", void, CompileOptionsObject* o, Sel, uint64_t version) {
  o->options.language_version = static_cast<int>(version);
}
METHOD("MTLCompileOptions", "setOptimizationLevel:", void, CompileOptionsObject*, Sel, int64_t) {}
METHOD("MTLCompileOptions", "setPreserveInvariance:", void, CompileOptionsObject*, Sel, bool) {}
METHOD("MTLCompileOptions", "setPreprocessorMacros:", void, CompileOptionsObject* o, Sel, Dictionary* d) {
  for (const auto& [key, value] : d->items) {
    const char* is = value->isa->name.c_str();
    const std::string text = strcmp(is, "NSNumber") ? static_cast<String*>(value.get())->text
                                                    : std::to_string(static_cast<Number*>(value.get())->integer);
    o->options.macros[static_cast<String*>(key.get())->text] = text;
  }
}

/// Sources of others (the check with MLX's kernels) say so in their first line.
static CompileOptions options_for(const String* source, const CompileOptionsObject* wanted) {
  CompileOptions o = wanted ? wanted->options : CompileOptions();
  const std::string mark = "// foreign ";
  if (source->text.compare(0, mark.size(), mark) == 0) {
    o.foreign = true;
    o.include = source->text.substr(mark.size(), source->text.find('\n') - mark.size());
  }
  return o;
}
static Library* new_library(String* source, CompileOptionsObject* wanted, Error** error) {
  std::string said;
  std::string path = compile_library(source->text, options_for(source, wanted), said);
  if (path.empty()) {
    give_error(error, said);
    return nullptr;
  }
  Library* l = make<Library>("MTLLibrary");
  l->path = path;
  return l;
}
METHOD("MTLDevice", "newLibraryWithSource:options:error:", Library*, Device*, Sel, String* source,
       CompileOptionsObject* options, Error** error) {
  return new_library(source, options, error);
}
METHOD("MTLDevice", "newLibraryWithSource:options:completionHandler:", void, Device*, Sel, String* source,
       CompileOptionsObject* options, const void* handler) {
  const void* block = _Block_copy(handler);
  Ref<String> text(source);
  Ref<CompileOptionsObject> wanted(options);
  std::thread([block, text, wanted] {
    Object* pool = make<Object>("NSObject");
    Error* error = nullptr;
    Library* l = new_library(text.get(), wanted.get(), &error);
    using Invoke = void (*)(const void*, Library*, Error*);
    (*reinterpret_cast<Invoke const*>(static_cast<const char*>(block) + 16))(block, l, error);
    if (l) release(l);
    _Block_release(block);
    release(pool);
  }).detach();
}
METHOD("MTLLibrary", "functionNames", Object*, Library* l, Sel) {
  Array* names = make<Array>("NSArray");
  std::string error;
  if (auto loaded = load_library(l->path, {}, error))
    for (const Kernel* k : loaded->kernels) names->items.push_back(Ref<Object>(string_of(k->name)));
  return autoreleased(names);
}

METHOD("+MTLFunctionConstantValues", "alloc", Object*, Object*, Sel) {
  return make<ConstantValues>("MTLFunctionConstantValues");
}
/// Bytes of an MTLDataType that a function constant may have.
static uint32_t bytes_of(uint64_t type) {
  switch (type) {
    case 53: case 45: case 49: return 1;            // bool, char, uchar
    case 16: case 37: case 41: case 121: return 2;  // half, short, ushort, bfloat
    case 81: case 85: return 8;                     // long, ulong
    default: return 4;                              // float, int, uint
  }
}
static void set_constant(ConstantValues* c, const void* v, uint64_t type, uint64_t index) {
  ConstantValue value{bytes_of(type), {}};
  memcpy(value.bytes, v, value.size);
  c->values[static_cast<uint32_t>(index)] = value;
}
METHOD("MTLFunctionConstantValues", "setConstantValue:type:atIndex:", void, ConstantValues* c, Sel, const void* v,
       uint64_t type, uint64_t index) {
  set_constant(c, v, type, index);
}
METHOD("MTLFunctionConstantValues", "setConstantValues:type:withRange:", void, ConstantValues* c, Sel, const char* v,
       uint64_t type, Range2 range) {
  for (uint64_t i = 0; i < range.length; i++) set_constant(c, v + i * bytes_of(type), type, range.location + i);
}
METHOD("MTLFunctionConstantValues", "reset", void, ConstantValues* c, Sel) { c->values.clear(); }

/// Metal refuses a function that needs constants which it is not given; so does this, by library.
static Function* new_function(Library* l, String* name, ConstantValues* c, Error** error) {
  std::string said;
  auto loaded = load_library(l->path, c ? c->values : Constants(), said);
  const Kernel* kernel = loaded ? loaded->find(name->text) : nullptr;
  if (loaded && !kernel) said = "there is no function named " + name->text;
  if (!said.empty()) {
    give_error(error, said);
    return nullptr;
  }
  Function* f = make<Function>("MTLFunction");
  f->library = loaded;
  f->kernel = kernel;
  f->label = name->text;
  return f;
}
METHOD("MTLLibrary", "newFunctionWithName:", Function*, Library* l, Sel, String* name) {
  return new_function(l, name, nullptr, nullptr);
}
METHOD("MTLLibrary", "newFunctionWithName:constantValues:error:", Function*, Library* l, Sel, String* name,
       ConstantValues* c, Error** error) {
  return new_function(l, name, c, error);
}
METHOD("MTLFunction", "name", Object*, Function* f, Sel) { return string_of(f->kernel->name); }

static Pipeline* new_pipeline(Function* f, Error** error) {
  if (!f) {
    give_error(error, "a pipeline needs a function");
    return nullptr;
  }
  Pipeline* p = make<Pipeline>("MTLComputePipelineState");
  p->library = f->library;
  p->kernel = f->kernel;
  p->label = f->label;
  __atomic_fetch_add(&m.stats.pipelines, 1, __ATOMIC_RELAXED);
  return p;
}
METHOD("MTLDevice", "newComputePipelineStateWithFunction:error:", Pipeline*, Device*, Sel, Function* f, Error** error) {
  return new_pipeline(f, error);
}
METHOD("MTLDevice", "newComputePipelineStateWithDescriptor:options:reflection:error:", Pipeline*, Device*, Sel,
       PipelineDescriptor* d, uint64_t, void*, Error** error) {
  return new_pipeline(d->function.get(), error);
}
METHOD("+MTLComputePipelineDescriptor", "alloc", Object*, Object*, Sel) {
  return make<PipelineDescriptor>("MTLComputePipelineDescriptor");
}
METHOD("MTLComputePipelineDescriptor", "setComputeFunction:", void, PipelineDescriptor* d, Sel, Function* f) {
  d->function = Ref<Function>(f);
}
METHOD("MTLComputePipelineDescriptor", "setThreadGroupSizeIsMultipleOfThreadExecutionWidth:", void, Object*, Sel,
       bool) {}
METHOD("MTLComputePipelineDescriptor", "setMaxTotalThreadsPerThreadgroup:", void, Object*, Sel, uint64_t) {}
METHOD("MTLComputePipelineDescriptor", "setBinaryArchives:", void, Object*, Sel, Object*) {}
METHOD("MTLComputePipelineState", "threadExecutionWidth", uint64_t, Pipeline*, Sel) { return 32; }
METHOD("MTLComputePipelineState", "maxTotalThreadsPerThreadgroup", uint64_t, Pipeline* p, Sel) {
  return p->kernel->max_threads < kMaxThreads ? p->kernel->max_threads : kMaxThreads;
}
METHOD("MTLComputePipelineState", "staticThreadgroupMemoryLength", uint64_t, Pipeline*, Sel) { return 0; }

}  // namespace dsim
