// Chooses the instruction set once per process: CPUID with the operating system's consent (XGETBV) on x86-64, the
// auxiliary vector on Linux aarch64. The only file of cpu/ that is compiled once.
#include "cpu/dispatch.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace denim {

#if defined(__x86_64__)
namespace baseline {
extern const KernelTable table;
}
namespace avx2 {
extern const KernelTable table;
}
namespace avx512 {
extern const KernelTable table;
}

struct Registers {
  uint32_t a, b, c, d;
};
static Registers cpuid(uint32_t leaf, uint32_t subleaf) {
  Registers r{0, 0, 0, 0};
  __get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d);
  return r;
}
/// The register states that the operating system saves.
static uint64_t saved_states() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}
static bool has(uint32_t flags, uint32_t wanted) { return (flags & wanted) == wanted; }

static Cpu detect() {
  Cpu cpu{Isa::baseline, false, false, false, false, false, false};
  const Registers one = cpuid(1, 0), seven = cpuid(7, 0), more = cpuid(7, 1), extended = cpuid(0x80000001u, 0);
  constexpr uint32_t kFma = 1u << 12, kMovbe = 1u << 22, kOsXsave = 1u << 27, kAvx = 1u << 28, kF16c = 1u << 29;
  constexpr uint32_t kBmi1 = 1u << 3, kAvx2 = 1u << 5, kBmi2 = 1u << 8, kLzcnt = 1u << 5;
  if (!has(one.c, kFma | kMovbe | kOsXsave | kAvx | kF16c) || !has(seven.b, kBmi1 | kAvx2 | kBmi2) ||
      !has(extended.c, kLzcnt))
    return cpu;
  const uint64_t states = saved_states();
  if ((states & 0x6) != 0x6) return cpu;  // XMM and YMM
  cpu.isa = Isa::avx2;
  constexpr uint32_t kF = 1u << 16, kDq = 1u << 17, kCd = 1u << 28, kBw = 1u << 30, kVl = 1u << 31, kVnni = 1u << 11;
  if (!has(seven.b, kF | kDq | kCd | kBw | kVl) || !has(seven.c, kVnni) || (states & 0xe6) != 0xe6)
    return cpu;  // and ZMM, masks
  cpu.isa = Isa::avx512;
  cpu.avx512_bf16 = has(more.a, 1u << 5);
  cpu.avx512_fp16 = has(seven.d, 1u << 23);
  cpu.avx512_vbmi = has(seven.c, 1u << 1);
  return cpu;
}
#ifdef DENIM_ONLY_BASELINE  // a sanitized build of all instruction sets takes minutes
static const KernelTable& table_of(Isa) { return baseline::table; }
#else
static const KernelTable& table_of(Isa isa) {
  return isa == Isa::avx512 ? avx512::table : isa == Isa::avx2 ? avx2::table : baseline::table;
}
#endif
#else
namespace neon {
extern const KernelTable table;
}

#if defined(__APPLE__)
static bool feature(const char* name) {
  int value = 0;
  size_t size = sizeof(value);
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}
static Cpu detect() {
  return {Isa::neon,
          false,
          false,
          false,
          feature("hw.optional.arm.FEAT_DotProd"),
          feature("hw.optional.arm.FEAT_I8MM"),
          feature("hw.optional.arm.FEAT_BF16")};
}
#else
static Cpu detect() {
  const unsigned long one = getauxval(16), two = getauxval(26);  // AT_HWCAP, AT_HWCAP2
  return {Isa::neon, false, false, false, (one & (1ul << 20)) != 0, (two & (1ul << 13)) != 0, (two & (1ul << 14)) != 0};
}
#endif
static const KernelTable& table_of(Isa) { return neon::table; }
#endif

const char* isa_name(Isa isa) {
  constexpr const char* names[] = {"baseline", "avx2", "avx512", "neon"};
  return names[static_cast<int>(isa)];
}

/// DENIM_ISA may ask for less than the machine has, so that results can be repeated elsewhere; never for more.
static Cpu choose() {
  Cpu cpu = detect();
  const char* wanted = getenv("DENIM_ISA");
  if (wanted == nullptr) return cpu;
  for (int i = 0; i < static_cast<int>(cpu.isa); i++) {
    if (strcmp(wanted, isa_name(static_cast<Isa>(i))) != 0 || cpu.isa == Isa::neon) continue;
    cpu = {static_cast<Isa>(i), false, false, false, false, false, false};
  }
  return cpu;
}

/// Two threads that come first at the same time find the same; the flag is set after the contents.
const Cpu& cpu() {
  static Cpu chosen{};
  static int ready = 0;
  if (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) == 0) {
    static int writing = 0;
    if (__atomic_exchange_n(&writing, 1, __ATOMIC_ACQ_REL) == 0) {
      chosen = choose();
      __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
    }
    while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) == 0) {
    }
  }
  return chosen;
}

const FusedApi& fused_api() { return table_of(isa()).fused; }
const Kernel* kernel_of(Op op) { return table_of(isa()).kernels[static_cast<int>(op)]; }

}  // namespace denim
