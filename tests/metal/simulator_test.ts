/**
 * Runs the simulator's own tests (`simulator_cases.ts`) where there is a simulator, and says so where there is none.
 * @module
 */
if (Deno.build.os === "linux" && Deno.build.arch === "x86_64") await import("./simulator_cases.ts");
else Deno.test.ignore("the simulator runs on x86-64 Linux only", () => {});
