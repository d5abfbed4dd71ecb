/**
 * Replays the recorded cases of `tests/fixtures/reference` on the library: one test per namespace and transform.
 * @module
 */
import { assertEquals } from "@std/assert";
import { defaultDevice } from "../../core/device.ts";
import { type Case, Engine } from "./cases.ts";
import { differences, isExcused } from "./known.ts";
import { loadLibrary } from "./library.ts";
import { checkCase, readCases, ROOMS } from "./run.ts";
import { readTensors } from "./safetensors_reader.ts";

const FOLDER = decodeURIComponent(new URL("../fixtures/reference", import.meta.url).pathname);
const lib = await loadLibrary(ROOMS);
const onGpu = defaultDevice().type === "gpu";
const engine = new Engine(lib, readTensors(`${FOLDER}/arrays.safetensors`));
const groupOf = (c: Case): string => `${c.fn.includes(".") ? c.fn.split(".")[0] : "core"} ${c.transform}`;

for (const [group, cases] of Map.groupBy(readCases(FOLDER), groupOf)) {
  Deno.test(`recorded cases: ${group} (${cases.length})`, async () => {
    const failures: string[] = [];
    let excused = 0;
    for (const c of cases) {
      const outcome = await checkCase(engine, c, { onGpu }), passed = outcome.kind === "passed";
      if (outcome.kind === "float64") continue;
      if (c.id in differences && passed) failures.push(`${c.id}: is no difference any more, take it from known.ts`);
      else if (c.id in differences || (!passed && isExcused(c.fn))) excused++;
      else if (!passed) failures.push(`${c.id}: ${outcome.kind}: ${outcome.why}`);
    }
    if (excused) console.log(`${excused} of ${cases.length} excused in known.ts`);
    assertEquals(failures, []);
  });
}
