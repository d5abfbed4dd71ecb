/**
 * Kills a training run with SIGKILL at random moments and resumes it, then compares the SHA-256 of what it ends with
 * (parameters, optimizer, random state, position, metrics) with that of a run that was left alone:
 * `deno run -A scripts/try_resume.ts [--kills 20] [--seed 1]`.
 * @module
 */
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: { kills: { type: "string", default: "20" }, seed: { type: "string", default: "1" } },
});
const program = new URL("../tests/train/run.ts", import.meta.url).pathname, folder = await Deno.makeTempDir();
const MILLISECONDS = 40, STEPS = 12 * Number(values.kills);

/** Runs the program, and kills it after so many milliseconds. Gives what it printed. */
async function run(name: string, milliseconds: number, killAfter?: number): Promise<{ out: string; err: string }> {
  const args = ["run", "-A", "--no-check", program, `${folder}/${name}`, String(STEPS), String(milliseconds)];
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "piped" }).spawn();
  const timer = killAfter === undefined ? 0 : setTimeout(() => child.kill("SIGKILL"), killAfter);
  const { stdout, stderr } = await child.output(), decoder = new TextDecoder();
  clearTimeout(timer);
  return { out: decoder.decode(stdout).trim(), err: decoder.decode(stderr) };
}
let state = Number(values.seed);
/** The next of a sequence of numbers in [0, 1) that the seed gives. */
const random = (): number => (state = state * 1103515245 + 12345 & 0x7fffffff) / 2 ** 31;

const started = performance.now(), whole = await run("whole", 0);
if (whole.out === "") throw whole.err;
let kills = 0, out = "";
while (kills < Number(values.kills)) {
  // A start takes some 300 ms, of which the first steps are the last.
  const after = 200 + 1500 * random(), killed = await run("killed", MILLISECONDS, after);
  if (killed.out !== "") {
    out = killed.out;
    break;
  }
  const [first = "began"] = killed.err.split("\n");
  console.log(`kill ${++kills} after ${after.toFixed(0)} ms: ${first.replace(/ in .*/, "")}`);
}
if (out === "") ({ out } = await run("killed", 0));
const equal = out === whole.out, seconds = ((performance.now() - started) / 1000).toFixed(0);
console.log(
  `${STEPS} steps, ${kills} kills, ${seconds} s: ${equal ? "the same bits" : "DIFFERENT"}\n${whole.out}\n${out}`,
);
await Deno.remove(folder, { recursive: true });
if (!equal) Deno.exit(1);
