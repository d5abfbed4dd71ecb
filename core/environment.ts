/**
 * Settings from the environment, where it may be read.
 * @module
 */

/** The variable's value; undefined where it is not set, or where the process may not ask. */
export function setting(name: string): string | undefined {
  return Deno.permissions.querySync({ name: "env", variable: name }).state === "granted"
    ? Deno.env.get(name)
    : undefined;
}
