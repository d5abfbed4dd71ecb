// Compiles, caches and loads libraries of kernels.
#include "exec/library.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <mutex>
#include <sstream>

#include "translate/translate.h"

namespace dsim {

struct ShimFile {
  const char* name;
  const char* text;
  size_t size;
};
#pragma clang diagnostic ignored "-Wc23-extensions"
static const char kStdlib[] = {
#embed "../msl/metal_stdlib"
};
static const char kAbi[] = {
#embed "../abi.h"
};
static const char kTypes[] = {
#embed "../msl/types.h"
};
static const char kTraits[] = {
#embed "../msl/traits.h"
};
static const char kMath[] = {
#embed "../msl/math.h"
};
static const char kInteger[] = {
#embed "../msl/integer.h"
};
static const char kSimd[] = {
#embed "../msl/simd.h"
};
static const char kMatrix[] = {
#embed "../msl/matrix.h"
};
static const char kAtomic[] = {
#embed "../msl/atomic.h"
};
static const char kEntry[] = {
#embed "../msl/entry.h"
};
static const char kApple[] = {
#embed "../msl/apple.h"
};
/// The translator is part of what a compiled kernel depends on.
static const char kTranslator[] = {
#embed "../translate/tokens.cc"
    ,
#embed "../translate/translate.cc"
    ,
#embed "../translate/kernels.cc"
    ,
#embed "../translate/bodies.cc"
    ,
#embed "../translate/refuse.cc"
};
static const ShimFile kShim[] = {
    {"metal_stdlib", kStdlib, sizeof kStdlib},   {"abi.h", kAbi, sizeof kAbi},
    {"msl/types.h", kTypes, sizeof kTypes},      {"msl/traits.h", kTraits, sizeof kTraits},
    {"msl/math.h", kMath, sizeof kMath},         {"msl/integer.h", kInteger, sizeof kInteger},
    {"msl/simd.h", kSimd, sizeof kSimd},         {"msl/matrix.h", kMatrix, sizeof kMatrix},
    {"msl/atomic.h", kAtomic, sizeof kAtomic},   {"msl/entry.h", kEntry, sizeof kEntry},
    {"msl/apple.h", kApple, sizeof kApple},
};
/// Every <metal_...> header is the whole library.
static const char* const kHeaders[] = {"math",    "simdgroup", "simdgroup_matrix", "atomic",  "common",     "integer",
                                       "compute", "logging",   "type_traits",      "matrix",  "relational", "limits",
                                       "pack",    "geometric", "numeric",          "texture", "quadgroup",  "uniform"};

static const char kFlags[] =
    "-x c++ -std=c++17 -nostdinc -target x86_64-linux-gnu -march=x86-64-v3 -O1 -fno-exceptions -fno-rtti -fPIC "
    "-ffp-contract=on -Xclang -ffloat16-excess-precision=none -Xclang -fbfloat16-excess-precision=none "
    // Wider accesses than 16 bytes would escape the instrumentation.
    "-fno-vectorize -fno-slp-vectorize "
    "-ftrivial-auto-var-init=pattern -fno-math-errno -fno-threadsafe-statics -gdwarf-4 -gline-tables-only -w "
    "-Werror=c++20-extensions -ferror-limit=8 -fmacro-backtrace-limit=2 -ftemplate-backtrace-limit=4 "
    // The compiler pass of ThreadSanitizer with callbacks of our own (memory/access.cc).
    "-fsanitize=thread -mllvm -tsan-instrument-func-entry-exit=0 -mllvm -tsan-instrument-atomics=0 "
    "-mllvm -tsan-instrument-read-before-write=1";

static uint64_t hash_more(uint64_t h, const std::string& text) {
  for (unsigned char c : text) h = (h ^ c) * 0x100000001b3ull;
  return (h ^ 0xff) * 0x100000001b3ull;
}
static std::string hex(uint64_t a, uint64_t b) {
  char text[40];
  snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(a), static_cast<unsigned long long>(b));
  return text;
}
/// 128 bits of two differently seeded FNV hashes: enough for a private cache.
static std::string hash_of(const std::vector<std::string>& parts) {
  uint64_t a = 0xcbf29ce484222325ull, b = 0x84222325cbf29ce4ull;
  for (const std::string& p : parts) a = hash_more(a, p), b = hash_more(b ^ a, p);
  return hex(a, b);
}

std::string cache_folder() {
  auto from = [](const char* name) { return std::string(setting(name) ? setting(name) : ""); };
  std::string base = from("DENIM_CACHE");
  if (base.empty() && !from("XDG_CACHE_HOME").empty()) base = from("XDG_CACHE_HOME") + "/denim";
  if (base.empty()) base = from("HOME") + "/.cache/denim";
  return base + "/metal-sim";
}

static void make_folders(const std::string& path) {
  for (size_t i = 1; i <= path.size(); i++)
    if (i == path.size() || path[i] == '/') mkdir(path.substr(0, i).c_str(), 0755);
}
static bool exists(const std::string& path) { return access(path.c_str(), R_OK) == 0; }
static std::string read_file(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(f)), {});
}
/// Written aside and renamed, so that readers see all of it or nothing.
static void write_file(const std::string& path, const std::string& text) {
  std::string aside = path + "." + std::to_string(getpid());
  std::ofstream(aside, std::ios::binary) << text;
  rename(aside.c_str(), path.c_str());
}

static const std::string& shim_hash() {
  static const std::string hash = [] {
    std::vector<std::string> parts{kFlags, std::string(kTranslator, sizeof kTranslator)};
    for (const ShimFile& f : kShim) parts.push_back(std::string(f.text, f.size));
    return hash_of(parts);
  }();
  return hash;
}

std::string shim_folder() {
  static std::mutex guard;
  std::lock_guard<std::mutex> lock(guard);
  std::string folder = cache_folder() + "/shim-" + shim_hash().substr(0, 16);
  if (exists(folder + "/ready")) return folder;
  make_folders(folder + "/msl");
  for (const ShimFile& f : kShim) write_file(folder + "/" + f.name, std::string(f.text, f.size));
  for (const char* h : kHeaders) write_file(folder + "/metal_" + h, "#include <metal_stdlib>\n");
  write_file(folder + "/ready", "");
  return folder;
}

/// Runs a program with its output in a file; the text of that file if it fails, else empty. 127: there is no program.
static std::string run_program(const std::vector<std::string>& words, const std::string& log) {
  std::vector<char*> argv;
  const std::string program = program_path(words[0]);
  for (const std::string& w : words) argv.push_back(const_cast<char*>(w.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid;
  int failed = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environment());
  posix_spawn_file_actions_destroy(&actions);
  if (failed) return "cannot run " + words[0] + ": " + strerror(failed);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "";
  std::string said = read_file(log);
  return said.empty() ? words[0] + " failed" : said;
}

static std::vector<std::string> split(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}
static std::vector<std::string> compiler() {
  const char* zig = setting("DENIM_ZIG");
  return split(zig && *zig ? zig : "zig");
}

static std::string version_macro(const CompileOptions& o) {
  return std::to_string((o.language_version >> 16) * 100 + (o.language_version & 0xffff) * 10);
}

std::string preprocess(const std::string& source, const CompileOptions& o, std::string& error) {
  std::string stem = cache_folder() + "/" + hash_of({source}) + "." + std::to_string(getpid()) + "." +
                     std::to_string(reinterpret_cast<uintptr_t>(&source));
  std::string in = stem + ".metal", out = stem + ".i", log = stem + ".log";
  write_file(in, source);
  std::vector<std::string> words = compiler();
  for (const char* w : {"clang", "-E", "-x", "c++", "-std=c++17", "-nostdinc", "-DMSL_PREPROCESS", "-D__METAL__=1"})
    words.push_back(w);
  words.push_back("-D__METAL_VERSION__=" + version_macro(o));
  for (const auto& [name, value] : o.macros) words.push_back("-D" + name + "=" + value);
  if (!o.include.empty()) words.push_back("-I" + o.include);
  for (const std::string& w : {"-I" + shim_folder(), in, std::string("-o"), out}) words.push_back(w);
  error = run_program(words, log);
  std::string text = error.empty() ? read_file(out) : "";
  // The source's own name in the line markers: reports say program_source, as Apple's compiler does.
  for (size_t at; (at = text.find(in)) != std::string::npos;) text.replace(at, in.size(), "program_source");
  for (size_t at; (at = error.find(in)) != std::string::npos;) error.replace(at, in.size(), "program_source");
  for (const std::string& f : {in, out, log}) unlink(f.c_str());
  return text;
}

static std::string compile_text(const std::string& text, const CompileOptions& o, const std::string& out) {
  std::string stem = out.substr(0, out.size() - 3) + "." + std::to_string(getpid());
  std::string cpp = stem + ".cpp", object = stem + ".o", library = stem + ".so", log = stem + ".log";
  write_file(cpp, text);
  std::vector<std::string> words = compiler(), link = words;
  words.push_back("clang");
  for (const std::string& w : split(kFlags)) words.push_back(w);
  words.push_back("-D__METAL_VERSION__=" + version_macro(o));
  if (o.fast_math) words.push_back("-DMSL_FAST_MATH");
  if (o.foreign) words.push_back("-DDSIM_FOREIGN");
  for (const std::string& w : {"-I" + shim_folder(), std::string("-c"), cpp, std::string("-o"), object})
    words.push_back(w);
  std::string error = run_program(words, log);
  for (const char* w : {"ld.lld", "-shared"}) link.push_back(w);
  for (const std::string& w : {object, std::string("-o"), library}) link.push_back(w);
  if (error.empty()) error = run_program(link, log);
  if (error.empty()) rename(library.c_str(), out.c_str());
  for (const std::string& f : {cpp, object, library, log}) unlink(f.c_str());
  return error;
}

/// For the proof that mistakes are found: the file that DENIM_METAL_SIM_EDIT names has a text of a kernel, a line
/// "=====", and what it becomes.
static std::string with_edit(std::string source) {
  const char* path = setting("DENIM_METAL_SIM_EDIT");
  if (!path) return source;
  std::string edit = read_file(path), mark = "\n=====\n";
  size_t middle = edit.find(mark), at = middle == std::string::npos ? middle : source.find(edit.substr(0, middle));
  if (at == std::string::npos) return source;
  return source.replace(at, middle, edit.substr(middle + mark.size()));
}

std::string compile_library(const std::string& given, const CompileOptions& o, std::string& error) {
  const std::string source = with_edit(given);
  error.clear();
  std::vector<std::string> parts{shim_hash(), source, version_macro(o), o.fast_math ? "fast" : "precise",
                                 o.foreign ? "foreign" : "own", o.include};
  for (const auto& [name, value] : o.macros) parts.push_back(name + "=" + value);
  std::string folder = cache_folder(), out = folder + "/" + hash_of(parts) + ".so";
  make_folders(folder);
  __atomic_fetch_add(&m.stats.libraries, 1, __ATOMIC_RELAXED);
  if (const char* kept = setting("DENIM_METAL_SIM_SOURCES")) {
    make_folders(kept);
    write_file(kept + out.substr(folder.size(), 33) + ".metal", source);
  }
  if (exists(out)) return out;
  std::string text = preprocess(source, o, error);
  if (!error.empty()) return "";
  TranslateOptions t;
  t.foreign = o.foreign;
  std::string translated = translate(text, t, error);
  if (!error.empty()) return "";
  __atomic_fetch_add(&m.stats.compiled, 1, __ATOMIC_RELAXED);
  error = compile_text(translated, o, out);
  return error.empty() ? out : "";
}

// ---- loading --------------------------------------------------------------------------------------------------------

static std::mutex& load_guard() {
  static auto* g = new std::mutex;
  return *g;
}
/// What the library that is being loaded registers and asks for.
static Loaded* loading;
static const Constants* loading_constants;

const Kernel* Loaded::find(const std::string& name) const {
  for (const Kernel* k : kernels)
    if (name == k->name) return k;
  return nullptr;
}

static int find_segments(dl_phdr_info* info, size_t, void* data) {
  Image& image = *static_cast<Image*>(data);
  if (info->dlpi_addr != image.base) return 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
    uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    if (!image.from || from < image.from) image.from = from;
    if (from + info->dlpi_phdr[i].p_memsz > image.to) image.to = from + info->dlpi_phdr[i].p_memsz;
  }
  return 1;
}

/// Compiled kernels ask this library and libm for their functions, so both have to be seen by libraries loaded later.
static void show_symbols() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&show_symbols), &info) && info.dli_fname)
    dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
  dlopen("libm.so.6", RTLD_NOW | RTLD_GLOBAL);
}

/// A copy of its own: dlopen of one file, or of one name, twice would give one set of globals, and function constants
/// are globals.
static void* open_copy(const std::string& path) {
  static int serial = 0;
  std::string copy = path + "." + std::to_string(getpid()) + "." + std::to_string(++serial);
  std::ofstream file(copy, std::ios::binary);
  file << read_file(path);
  file.close();
  // A file that is cut short, for want of room, would end the process when it is opened.
  void* handle = file ? dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  unlink(copy.c_str());
  return handle;
}

static std::string key_of(const std::string& path, const Constants& constants) {
  std::string key = path;
  for (const auto& [index, value] : constants) {
    key += "|" + std::to_string(index) + "=";
    key.append(reinterpret_cast<const char*>(value.bytes), value.size);
  }
  return key;
}

std::shared_ptr<const Loaded> load_library(const std::string& path, const Constants& constants, std::string& error) {
  std::lock_guard<std::mutex> lock(load_guard());
  static auto* all = new std::map<std::string, std::shared_ptr<const Loaded>>;
  std::string key = key_of(path, constants);
  if (auto found = all->find(key); found != all->end()) return found->second;
  auto made = std::make_shared<Loaded>();
  static const bool shown = (show_symbols(), true);
  static_cast<void>(shown);
  loading = made.get();
  loading_constants = &constants;
  void* handle = nullptr;
  {
    std::lock_guard<std::mutex> quiet(machine_guard());
    handle = open_copy(path);
  }
  loading = nullptr;
  loading_constants = nullptr;
  if (!handle) {
    const char* said = dlerror();
    error = said ? said : "cannot load the compiled kernels";
    return nullptr;
  }
  link_map* map = nullptr;
  dlinfo(handle, RTLD_DI_LINKMAP, &map);
  made->image.base = map ? map->l_addr : 0;
  made->image.path = path;
  dl_iterate_phdr(find_segments, &made->image);
  (*all)[key] = made;
  return made;
}

}  // namespace dsim

using namespace dsim;

extern "C" {

void dsim_register(Kernel* k) {
  if (loading) loading->kernels.push_back(k);
}

bool dsim_function_constant(unsigned index, const char* name, void* out, unsigned long size) {
  memset(out, 0, size);
  if (!loading_constants) return false;
  auto found = loading_constants->find(index);
  if (found == loading_constants->end()) {
    loading->missing.push_back(name);
    return false;
  }
  if (found->second.size != size) loading->missing.push_back(std::string(name) + " (of another type)");
  memcpy(out, found->second.bytes, size < found->second.size ? size : found->second.size);
  return true;
}

}
