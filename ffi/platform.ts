/**
 * The platforms that the library is built for, and the names of their files.
 * @module
 */
import { libraryFailure } from "./errors.ts";

/** Name of a platform, as `runtime/build.zig` knows it. `x86_64-linux-sim` has a simulated Metal device, for tests. */
export type Platform = "x86_64-linux" | "aarch64-linux" | "aarch64-macos" | "x86_64-linux-sim";
/** Platforms that a release is built for; each can be built on any of them. */
export const PLATFORMS: readonly Platform[] = ["x86_64-linux", "aarch64-linux", "aarch64-macos"];
const ALL: readonly Platform[] = [...PLATFORMS, "x86_64-linux-sim"];

/** The platform of that name. */
export function platformOf(name: string): Platform {
  return ALL.find((platform) => platform === name) ?? libraryFailure({
    cannot: `build for ${name}`,
    expected: ALL.join(", "),
    got: name,
    fix: "use one of these platforms",
  });
}
/** The platform of this machine; `DENIM_METAL=sim` adds the simulated Metal device. */
export function hostPlatform(): Platform {
  const simulated = Deno.env.get("DENIM_METAL") === "sim" ? "-sim" : "";
  return platformOf(`${Deno.build.arch}-${Deno.build.os === "darwin" ? "macos" : Deno.build.os}${simulated}`);
}
/** Is the library for this platform built with the Metal host? */
export function hasMetal(platform: Platform): boolean {
  return platform === "aarch64-macos" || platform === "x86_64-linux-sim";
}
/** Has every machine of this platform a LAPACK? On the others Eigen stands for it. */
export function hasLapack(platform: Platform): boolean {
  return platform === "aarch64-macos";
}
const extension = (platform: Platform) => platform.endsWith("macos") ? "dylib" : "so";
/** Name of the library as the build leaves it. */
export function builtName(platform: Platform): string {
  return `libdenim.${extension(platform)}`;
}
/**
 * Name of the library once it is kept, in the cache or in `prebuilt/`: the hash says which sources it is built from.
 */
export function fileName(platform: Platform, hash: string): string {
  return `denim-${platform}-${hash}.${extension(platform)}`;
}
