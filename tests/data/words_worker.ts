/**
 * A worker that serves rows, for the tests of `fromWorker`.
 * @module
 */
import * as mx from "../../mod.ts";
import { fromItems, serveDataset } from "../../data/mod.ts";

serveDataset(fromItems({ length: 9, at: (i) => i }, (rows: number[]) => {
  if (rows.includes(8)) {
    mx.fail(mx.ValueError, "test", { cannot: "use 8", expected: "less", got: "8", fix: "ask less" });
  }
  return { x: mx.array(rows).astype(mx.bfloat16), names: [mx.array(rows.map((row) => row > 2))] };
}));
