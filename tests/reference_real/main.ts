/**
 * Entry of `deno task reference:real`: see `run.ts`.
 * @module
 */
import { main } from "./run.ts";

Deno.exit(await main(Deno.args));
