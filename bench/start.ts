/**
 * The smallest useful program, for the bench of starting: it adds two arrays and prints what took how long, in
 * milliseconds.
 * @module
 */

/** What the program prints. */
export interface Start {
  /** Loading the modules. */
  readonly import: number;
  /** Opening the library and the first evaluation. */
  readonly firstEval: number;
  readonly result: readonly number[];
}

if (import.meta.main) {
  const began = performance.now();
  const mx = await import("../mod.ts");
  const imported = performance.now();
  const result = [...mx.add(mx.array([1, 2]), mx.array([3, 4])).dataSync()].map(Number);
  const start: Start = { import: imported - began, firstEval: performance.now() - imported, result };
  console.log(JSON.stringify(start));
}
