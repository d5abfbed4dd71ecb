/**
 * Builds native programs with sanitizers, by a clang of the system (Debian: clang-19, libclang-rt-19-dev), and runs
 * them.
 *
 *     deno run -A scripts/sanitize.ts tests                     native tests under ASan and UBSan
 *     deno run -A scripts/sanitize.ts fuzz [ROUNDS [SEED]]      the program fuzzer under ASan and UBSan (default 20000)
 *     deno run -A scripts/sanitize.ts threads [SECONDS [SEED]]  programs on several streams under TSan (default 20)
 *
 * All three use the baseline kernels only: a sanitized build of every instruction set takes minutes.
 * @module
 */
import { locked } from "../ffi/cache.ts";
import { EIGEN } from "../ffi/headers.ts";
import { findHeaders } from "../ffi/wheel.ts";

const runtimeDir = new URL("../runtime/", import.meta.url).pathname;
const FLAGS = [
  "-std=c++20",
  "-g",
  "-O1",
  "-fno-exceptions",
  "-fno-rtti",
  "-fno-threadsafe-statics",
  "-ffp-contract=off",
  "-fno-strict-aliasing",
  "-fno-omit-frame-pointer",
  `-I${runtimeDir}`,
];
const BASELINE = ["-march=x86-64-v2", "-DDENIM_ISA=baseline"];
const SANITIZERS: Readonly<Record<string, string>> = {
  address: "-fsanitize=address,undefined",
  thread: "-fsanitize=thread",
};

function run(command: string, args: readonly string[], env: Record<string, string> = {}): void {
  const { code } = new Deno.Command(command, { args: [...args], env, stdout: "inherit", stderr: "inherit" })
    .outputSync();
  if (code !== 0) {
    console.error(`${command} ended with ${code}`);
    Deno.exit(1);
  }
}
function compiler(): string {
  for (const name of ["clang++-19", "clang++-18", "clang++-17", "clang++-14", "clang++"]) {
    try {
      if (new Deno.Command(name, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync().success) {
        return name;
      }
    } catch { /* not there */ }
  }
  console.error("no clang++ found: apt-get install clang-19 libclang-rt-19-dev");
  Deno.exit(2);
}
function sources(folder: string, wanted: (name: string) => boolean): string[] {
  return [...Deno.readDirSync(folder)].map((e) => e.name).filter((n) => n.endsWith(".cc") && wanted(n)).sort().map((
    n,
  ) => `${folder}${n}`);
}
/** Compiles everything, two files at a time, and links. */
async function build(sanitizer: string, mains: readonly string[], out: string): Promise<void> {
  const clang = compiler(), flag = SANITIZERS[sanitizer]!, objects = `${out}.objects`;
  Deno.mkdirSync(objects, { recursive: true });
  const jobs: { args: string[]; object: string }[] = [];
  const add = (file: string, more: readonly string[]) => {
    const object = `${objects}/${jobs.length}.o`;
    jobs.push({ object, args: [...FLAGS, flag, ...more, "-c", file, "-o", object] });
  };
  for (const f of [...sources(runtimeDir, () => true), ...mains]) add(f, []);
  add(`${runtimeDir}cpu/dispatch.cc`, ["-DDENIM_ONLY_BASELINE"]);
  const eigen = await locked((temporary) => findHeaders(EIGEN, temporary, console.error), () => {});
  // Eigen names the first element of the empty block behind the last columns of a tall matrix, and never touches it.
  const forEigen = ["-isystem", eigen, "-fno-sanitize=null"];
  for (const f of sources(`${runtimeDir}linalg/`, (n) => n !== "lapack.cc")) add(f, forEigen);
  for (const f of sources(`${runtimeDir}cpu/`, (n) => n !== "dispatch.cc")) add(f, BASELINE);
  let next = 0, done = 0;
  const worker = async () => {
    for (let j = jobs[next++]; j; j = jobs[next++]) {
      const { success, stderr } = await new Deno.Command(clang, { args: j.args, stderr: "piped" }).output();
      if (!success) {
        console.error(new TextDecoder().decode(stderr));
        Deno.exit(1);
      }
      Deno.stderr.writeSync(new TextEncoder().encode(`\r${sanitizer}: ${++done}/${jobs.length} files`));
    }
  };
  await Promise.all(Array.from({ length: navigator.hardwareConcurrency }, worker));
  console.error("");
  run(clang, [flag, ...jobs.map((j) => j.object), "-lpthread", "-lm", "-o", out]);
}

const [what = "tests", amount, seed = "1"] = Deno.args, folder = Deno.makeTempDirSync();
const STRICT = {
  DENIM_ISA: "baseline",
  UBSAN_OPTIONS: "halt_on_error=1:print_stacktrace=1",
  ASAN_OPTIONS: "detect_leaks=1",
  TSAN_OPTIONS: "halt_on_error=1",
};
try {
  if (what === "tests") {
    await build("address", sources(`${runtimeDir}tests/`, () => true), `${folder}/tests`);
    run(`${folder}/tests`, [], STRICT);
  } else {
    run(Deno.execPath(), ["run", "-A", new URL("record_programs.ts", import.meta.url).pathname, `${folder}/corpus`]);
    const main = what === "fuzz" ? "programs.cc" : "streams.cc";
    await build(what === "fuzz" ? "address" : "thread", [`${runtimeDir}fuzz/${main}`], `${folder}/${what}`);
    run(`${folder}/${what}`, [`${folder}/corpus`, amount ?? (what === "fuzz" ? "20000" : "20"), seed], STRICT);
  }
} finally {
  Deno.removeSync(folder, { recursive: true });
}
