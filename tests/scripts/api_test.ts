/**
 * The comparison of names: what counts as here, and what a page lists.
 * @module
 */
import { assertEquals } from "@std/assert";
import { listedIn, names } from "../../scripts/api.ts";

Deno.test("names finds functions, properties, methods of classes and of their subclasses", () => {
  const entries = {
    version: "0",
    "mlx.core": [{ name: "take_along_axis" }, { name: "bool_" }, { name: "no_such_function" }],
    "mlx.core.array": [{ name: "itemsize" }, { name: "mT" }, { name: "frobnicate" }],
    "mlx.core.random": [{ name: "normal" }, { name: "abnormal" }],
    "mlx.core.nowhere": [{ name: "a" }],
    "mlx.nn": [{ name: "ALiBi", methods: ["create_alibi_slope", "nothing"] }, { name: "Lost", methods: ["a"] }],
    "mlx.optimizers": [{ name: "Optimizer", methods: ["update", "init_single"] }],
  };
  const missing = [...names(entries)].filter(([, present]) => !present).map(([path]) => path);
  assertEquals(missing, [
    "mlx.core.no_such_function",
    "mlx.core.array.frobnicate",
    "mlx.core.random.abnormal",
    "mlx.core.nowhere.a",
    "mlx.nn.ALiBi.nothing",
    "mlx.nn.Lost",
  ]);
});

Deno.test("listedIn takes names in code, alone, with their namespace, or with stars", () => {
  const listed = listedIn(
    "`` `${x}` `` is neither `inv` nor `mx.linalg.lu`, `cuda.*` and `f(x) = y`; but plain det.\n```\n`qr`\n```\n",
  );
  const paths = ["linalg.inv", "linalg.lu", "fft.lu", "cuda.is_available", "linalg.det", "linalg.qr", "linalg.reinv"];
  assertEquals(paths.filter((path) => listed(`mlx.core.${path}`)), ["linalg.inv", "linalg.lu", "cuda.is_available"]);
});
