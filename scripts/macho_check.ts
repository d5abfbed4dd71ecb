/**
 * Reads the library for aarch64-macos and refuses every foreign symbol that is not on the list below, and every foreign
 * library but the system's: a function that a Mac lacks is found here and not by a user. Builds the library if need be;
 * `deno run -A scripts/macho_check.ts [path]`. No Mac is needed.
 * @module
 */
import { buildLibrary, progress, readyLibrary } from "../ffi/build.ts";

/** Functions of libSystem that the runtime may call; all are in macOS 13, the oldest system that it is built for. */
const ALLOWED = new Set(
  `
  __error __stack_chk_fail __stack_chk_guard abort dyld_stub_binder getenv qsort strtod strtol strtoull snprintf vsnprintf
  memchr memcmp memcpy memmove memset bzero memset_pattern4 memset_pattern8 memset_pattern16
  strchr strcmp strerror strerror_r strlen strncmp strnlen strstr
  calloc free malloc malloc_size posix_memalign realloc
  fclose fgets fopen fread fscanf sscanf strcspn strrchr pthread_atfork
  close fstat ftruncate getpagesize lseek madvise mlock mmap mprotect munlock munmap open pread pwrite read write
  sysconf sysctl sysctlbyname getpid mach_absolute_time mach_timebase_info clock_gettime nanosleep usleep sched_yield
  pthread_attr_destroy pthread_attr_init pthread_attr_setstacksize pthread_create pthread_detach pthread_join
  pthread_cond_broadcast pthread_cond_destroy pthread_cond_init pthread_cond_signal pthread_cond_timedwait
  pthread_cond_timedwait_relative_np pthread_cond_wait pthread_equal pthread_getspecific pthread_key_create
  pthread_key_delete pthread_mutex_destroy pthread_mutex_init pthread_mutex_lock pthread_mutex_trylock
  pthread_mutex_unlock pthread_once pthread_self pthread_set_qos_class_self_np pthread_setname_np pthread_setspecific
  dladdr dlopen pthread_sigmask sigaction sigfillset _tlv_bootstrap
  acos acosf acosh acoshf asin asinf asinh asinhf atan atan2 atan2f atanf atanh atanhf cbrt cbrtf ceil ceilf cos cosf
  cosh coshf erf erfc erff exp exp2 exp2f expf expm1 expm1f fabs fabsf floor floorf fma fmaf fmax fmaxf fmin fminf fmod fmodf
  frexp frexpf hypot hypotf ldexp ldexpf lgamma lgammaf log log10 log10f log1p log1pf log2 log2f logb logbf logf lrint
  lrintf modf modff nearbyint nearbyintf nextafter nextafterf pow powf remainder remainderf rint rintf round roundf
  scalbn scalbnf sin sincos sincosf sinf sinh sinhf sqrt sqrtf tan tanf tanh tanhf tgamma trunc truncf
  __sincosf_stret __sincos_stret __exp10 __exp10f __memcpy_chk __memmove_chk __memset_chk
  `.trim().split(/\s+/),
);
const LIBRARIES = new Set(["/usr/lib/libSystem.B.dylib"]);

/** What a Mach-O file takes from elsewhere. */
export interface Foreign {
  readonly symbols: readonly string[];
  readonly libraries: readonly string[];
}
const [MAGIC_64, ARM64, SYMTAB, LOAD_DYLIB] = [0xfeedfacf, 0x0100000c, 0x2, 0xc];
const [STAB, TYPE, EXTERNAL] = [0xe0, 0x0e, 0x01];

/** Reads the foreign symbols and libraries of a 64-bit Mach-O file for Apple's processors. */
export function foreign(file: Uint8Array<ArrayBuffer>): Foreign {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const u32 = (at: number) => view.getUint32(at, true);
  const text = (at: number) => new TextDecoder().decode(file.subarray(at, file.indexOf(0, at)));
  if (u32(0) !== MAGIC_64 || u32(4) !== ARM64) throw new Error("no 64-bit Mach-O file for arm64");
  const [symbols, libraries]: [string[], string[]] = [[], []];
  for (let i = 0, at = 32; i < u32(16); i++, at += u32(at + 4)) {
    if (u32(at) === LOAD_DYLIB) libraries.push(text(at + u32(at + 8)));
    if (u32(at) !== SYMTAB) continue;
    const [table, count, strings] = [u32(at + 8), u32(at + 12), u32(at + 16)];
    for (let entry = table; entry < table + 16 * count; entry += 16) {
      const type = view.getUint8(entry + 4);
      const undefinedHere = (type & STAB) === 0 && (type & TYPE) === 0 && (type & EXTERNAL) !== 0;
      if (undefinedHere) symbols.push(text(strings + u32(entry)).replace(/^_/, ""));
    }
  }
  return { symbols: symbols.sort(), libraries };
}
/** What of it is not allowed. */
export function refused({ symbols, libraries }: Foreign): string[] {
  return [
    ...symbols.filter((name) => !ALLOWED.has(name)).map((name) => `function ${name}`),
    ...libraries.filter((name) => !LIBRARIES.has(name)).map((name) => `library ${name}`),
  ];
}

if (import.meta.main) {
  const path = Deno.args[0] ?? readyLibrary("aarch64-macos") ?? await buildLibrary("aarch64-macos", progress());
  const found = foreign(await Deno.readFile(path));
  const faults = refused(found);
  for (const fault of faults) {
    console.error(`${path}: needs the ${fault}: see that macOS 13 has it, then add it to scripts/macho_check.ts`);
  }
  if (faults.length > 0) Deno.exit(1);
  console.log(`${found.symbols.length} foreign symbols, all allowed: ${found.symbols.join(" ")}`);
}
