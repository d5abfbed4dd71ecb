/**
 * Feeds mutated files to the parsers of safetensors, GGUF, NumPy and PyTorch: `deno run scripts/fuzz_files.ts [count] [seed]`.
 * @module
 */
import { fuzzArchives, fuzzFiles } from "../tests/io/fuzz.ts";

if (import.meta.main) {
  const count = Number(Deno.args[0] ?? 100_000), seed = Number(Deno.args[1] ?? 1);
  for (
    const [kind, { read, refused, slowestMs }] of Object.entries({
      ...fuzzFiles(count, seed),
      ...fuzzArchives(count, seed),
    })
  ) {
    console.log(
      `${kind}: ${count} files from seed ${seed}, ${read} read, ${refused} refused, slowest ${slowestMs.toFixed(1)} ms`,
    );
  }
}
