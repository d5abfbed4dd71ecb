//! Builds the native library, and the native tests. `deno task build` calls this; `zig build --help` in this folder
//! lists the options. Every file of cpu/ but dispatch.cc is compiled once per instruction set, with that set's features
//! and -DDENIM_ISA; everything else is compiled for the oldest processor: it runs before dispatch.cc has looked. So is
//! linalg/, which is Eigen, too slow to compile several times, or calls LAPACK where that is at hand.
const std = @import("std");

const flags = [_][]const u8{
    "-std=c++20",           "-Wall",                           "-Wextra",         "-Werror",
    "-fno-exceptions",      "-fno-rtti",                       "-nostdlib++",     "-fno-threadsafe-statics",
    "-fvisibility=hidden",  "-fvisibility-inlines-hidden",     "-fno-math-errno", "-ffp-contract=off",
    "-fno-strict-aliasing", "-Wno-missing-field-initializers",
};

/// An instruction set: its name in C++ (namespace, DENIM_ISA) and the processor that it stands for.
const Isa = struct { name: []const u8, cpu: std.Target.Query };

const x86_64_isas = [_]Isa{
    .{ .name = "baseline", .cpu = x86(&std.Target.x86.cpu.x86_64_v2, &.{}) },
    .{ .name = "avx2", .cpu = x86(&std.Target.x86.cpu.x86_64_v3, &.{}) },
    .{ .name = "avx512", .cpu = x86(&std.Target.x86.cpu.x86_64_v4, &.{.avx512vnni}) },
};
const aarch64_isas = [_]Isa{.{ .name = "neon", .cpu = .{ .cpu_model = .baseline } }};
const apple_m1: std.Target.Query = .{ .cpu_model = .{ .explicit = &std.Target.aarch64.cpu.apple_m1 } };
const apple_isas = [_]Isa{.{ .name = "neon", .cpu = apple_m1 }};

fn x86(cpu: *const std.Target.Cpu.Model, comptime more: []const std.Target.x86.Feature) std.Target.Query {
    return .{ .cpu_model = .{ .explicit = cpu }, .cpu_features_add = std.Target.x86.featureSet(more) };
}

/// Where the library shall run: old enough for any system that Deno runs on.
const Platform = enum {
    @"x86_64-linux",
    @"aarch64-linux",
    @"aarch64-macos",
    @"x86_64-linux-sim",

    fn triple(p: Platform) std.Target.Query {
        const glibc: std.SemanticVersion = .{ .major = 2, .minor = 17, .patch = 0 };
        return switch (p) {
            .@"x86_64-linux", .@"x86_64-linux-sim" => .{
                .cpu_arch = .x86_64,
                .os_tag = .linux,
                .abi = .gnu,
                .glibc_version = glibc,
            },
            .@"aarch64-linux" => .{ .cpu_arch = .aarch64, .os_tag = .linux, .abi = .gnu, .glibc_version = glibc },
            .@"aarch64-macos" => .{
                .cpu_arch = .aarch64,
                .os_tag = .macos,
                .os_version_min = .{ .semver = .{ .major = 13, .minor = 0, .patch = 0 } },
            },
        };
    }
    fn isas(p: Platform) []const Isa {
        return switch (p) {
            .@"x86_64-linux" => &x86_64_isas,
            .@"x86_64-linux-sim" => x86_64_isas[0..1], // to compare with, one is enough
            .@"aarch64-linux" => &aarch64_isas,
            .@"aarch64-macos" => &apple_isas,
        };
    }
    /// Is the Metal host part of the library, on Apple's frameworks or on the simulator?
    fn hasMetal(p: Platform) bool {
        return p == .@"aarch64-macos" or p.simulates();
    }
    fn simulates(p: Platform) bool {
        return p == .@"x86_64-linux-sim";
    }
};

/// A module for one instruction set of the platform, on the platform's C library or another.
fn module(b: *std.Build, platform: Platform, abi: ?std.Target.Abi, isa: Isa) *std.Build.Module {
    var query = platform.triple();
    if (abi) |other| {
        query.abi = other;
        query.glibc_version = null;
    }
    query.cpu_model = isa.cpu.cpu_model;
    query.cpu_features_add = isa.cpu.cpu_features_add;
    const m = b.createModule(.{
        .target = b.resolveTargetQuery(query),
        .optimize = .ReleaseFast,
        .link_libc = true,
        .link_libcpp = false,
        .strip = true,
        .pic = true,
        .unwind_tables = .none,
        .stack_protector = false,
    });
    m.addIncludePath(b.path("."));
    return m;
}

/// The .cc files of a folder of the runtime, in alphabetical order so that equal sources give an equal library.
fn sources(b: *std.Build, folder: []const u8, comptime wanted: fn ([]const u8) bool) []const []const u8 {
    var files: std.ArrayList([]const u8) = .empty;
    const io = b.graph.io;
    var dir = b.build_root.handle.openDir(io, folder, .{ .iterate = true }) catch return files.items;
    defer dir.close(io);
    var entries = dir.iterate();
    while (entries.next(io) catch @panic("cannot list the sources")) |entry| {
        const source = std.mem.endsWith(u8, entry.name, ".cc") or std.mem.endsWith(u8, entry.name, ".S");
        if (entry.kind != .file or !source or !wanted(entry.name)) continue;
        files.append(b.allocator, b.pathJoin(&.{ folder, entry.name })) catch @panic("out of memory");
    }
    std.mem.sort([]const u8, files.items, {}, struct {
        fn less(_: void, a: []const u8, c: []const u8) bool {
            return std.mem.lessThan(u8, a, c);
        }
    }.less);
    return files.items;
}
fn all(_: []const u8) bool {
    return true;
}
fn isDispatch(name: []const u8) bool {
    return std.mem.eql(u8, name, "dispatch.cc");
}
fn isKernel(name: []const u8) bool {
    return !isDispatch(name);
}

/// The flags, and more of them.
fn with(b: *std.Build, more: []const []const u8) []const []const u8 {
    return std.mem.concat(b.allocator, []const u8, &.{ &flags, more }) catch @panic("out of memory");
}

/// Adds the Metal host and, where it stands for Apple's frameworks, the simulator.
fn addMetal(b: *std.Build, platform: Platform, m: *std.Build.Module, metal_cpp: []const u8) void {
    const c_flags = with(b, &.{ "-DDENIM_METAL", "-DMETALCPP_SYMBOL_VISIBILITY_HIDDEN", "-fblocks" });
    m.addSystemIncludePath(b.path("metal/include"));
    if (platform.simulates()) m.addSystemIncludePath(b.path("metal/sim/include"));
    m.addSystemIncludePath(.{ .cwd_relative = metal_cpp });
    m.addCSourceFiles(.{ .files = sources(b, "metal", all), .flags = c_flags });
    if (!platform.simulates()) {
        // Stubs that name what Apple's libraries export stand for a system that need not be at hand.
        m.addFrameworkPath(b.path("macos/Frameworks"));
        m.addLibraryPath(b.path("macos/lib"));
        m.linkFramework("Metal", .{});
        m.linkFramework("Foundation", .{ .needed = true }); // its classes are asked for by name
        m.linkFramework("Accelerate", .{});
        m.linkSystemLibrary("objc", .{});
        return;
    }
    const sim = module(b, platform, null, x86_64_isas[1]);
    sim.link_libcpp = true; // only machines that test run it
    sim.addIncludePath(b.path("metal/sim"));
    for (simulator_folders) |folder| {
        const files = sources(b, b.pathJoin(&.{ "metal/sim", folder }), all);
        sim.addCSourceFiles(.{ .files = files, .flags = &simulator_flags });
    }
    m.linkLibrary(b.addLibrary(.{ .name = "simulator", .linkage = .static, .root_module = sim }));
}
const simulator_folders = [_][]const u8{ ".", "translate", "exec", "memory", "objc", "framework" };
const simulator_flags = [_][]const u8{
    "-std=c++20",      "-Wall",    "-Wextra",             "-Werror",                          "-fno-exceptions",
    "-fno-rtti",       "-fblocks", "-fno-strict-aliasing", "-Wno-missing-field-initializers",
    "-fno-c++-static-destructors", // its threads may be at work when the process ends
};

/// Where decompositions come from: Eigen's headers in a folder, or LAPACK, on a Mac Accelerate's, else the given file.
const Decompositions = union(enum) { eigen: []const u8, lapack: ?[]const u8 };

/// What `deno task build` has fetched (ffi/headers.ts), where the cache is in its usual place.
fn fetchedEigen(b: *std.Build) ?[]const u8 {
    const home = b.graph.environ_map.get("HOME") orelse return null;
    return b.pathJoin(&.{ home, ".cache/denim/cmeel-eigen-3.4.1" });
}
fn isEigen(name: []const u8) bool {
    return !isLapack(name);
}
fn isLapack(name: []const u8) bool {
    return std.mem.eql(u8, name, "lapack.cc");
}
/// What libc++'s headers, of which Eigen uses some templates, must be told; the library itself is not needed.
const libcxx_flags = [_][]const u8{
    "-D_LIBCPP_ABI_VERSION=1",                         "-D_LIBCPP_ABI_NAMESPACE=__1",
    "-D_LIBCPP_HAS_THREADS=1",                         "-D_LIBCPP_HAS_MONOTONIC_CLOCK",
    "-D_LIBCPP_HAS_TERMINAL",                          "-D_LIBCXXABI_DISABLE_VISIBILITY_ANNOTATIONS",
    "-D_LIBCPP_DISABLE_VISIBILITY_ANNOTATIONS",        "-D_LIBCPP_HAS_VENDOR_AVAILABILITY_ANNOTATIONS=0",
    "-D_LIBCPP_HAS_FILESYSTEM=1",                      "-D_LIBCPP_HAS_RANDOM_DEVICE",
    "-D_LIBCPP_HAS_LOCALIZATION",                      "-D_LIBCPP_HAS_UNICODE",
    "-D_LIBCPP_HAS_WIDE_CHARACTERS",                   "-D_LIBCPP_HAS_NO_STD_MODULES",
    "-D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_NONE", "-D_LIBCPP_PSTL_BACKEND_SERIAL",
};

/// Adds linalg/ for the oldest processor of the platform.
fn addLinalg(b: *std.Build, platform: Platform, abi: ?std.Target.Abi, m: *std.Build.Module, from: Decompositions) void {
    const part = module(b, platform, abi, platform.isas()[0]);
    switch (from) {
        .eigen => |headers| {
            const musl: []const u8 = if (abi == .musl) "-D_LIBCPP_HAS_MUSL_LIBC=1" else "-D_LIBCPP_HAS_MUSL_LIBC=0";
            const lib = b.graph.zig_lib_directory.path orelse ".";
            // Not as system folders: they must come before the C library's.
            part.addIncludePath(.{ .cwd_relative = b.pathJoin(&.{ lib, "libcxx", "include" }) });
            part.addIncludePath(.{ .cwd_relative = b.pathJoin(&.{ lib, "libcxxabi", "include" }) });
            part.addSystemIncludePath(.{ .cwd_relative = headers });
            const c_flags = std.mem.concat(b.allocator, []const u8, &.{ &flags, &libcxx_flags, &.{musl} });
            const files = sources(b, "linalg", isEigen);
            part.addCSourceFiles(.{ .files = files, .flags = c_flags catch @panic("out of memory") });
        },
        .lapack => |library| {
            part.addCSourceFiles(.{ .files = sources(b, "linalg", isLapack), .flags = &flags });
            if (library) |file| m.addObjectFile(.{ .cwd_relative = file });
            if (library == null) m.linkFramework("Accelerate", .{});
        },
    }
    m.linkLibrary(b.addLibrary(.{ .name = "linalg", .linkage = .static, .root_module = part }));
}

/// A module that holds the whole runtime: the common files itself, the kernels as one archive per instruction set.
fn runtime(
    b: *std.Build,
    platform: Platform,
    abi: ?std.Target.Abi,
    metal_cpp: ?[]const u8,
    decompositions: Decompositions,
) *std.Build.Module {
    const isas = platform.isas();
    const m = module(b, platform, abi, isas[0]);
    if (platform.simulates()) m.addCMacro("DENIM_ONLY_BASELINE", "1");
    const common = if (metal_cpp == null) &flags else with(b, &.{"-DDENIM_METAL"});
    m.addCSourceFiles(.{ .files = sources(b, ".", all), .flags = common });
    m.addCSourceFiles(.{ .files = sources(b, "cpu", isDispatch), .flags = &flags });
    if (metal_cpp) |headers| addMetal(b, platform, m, headers);
    addLinalg(b, platform, abi, m, decompositions);
    for (isas) |isa| {
        const kernels = module(b, platform, abi, isa);
        const define = b.fmt("-DDENIM_ISA={s}", .{isa.name});
        const c_flags = with(b, if (platform == .@"aarch64-macos") &.{ define, "-DDENIM_CBLAS" } else &.{define});
        kernels.addCSourceFiles(.{ .files = sources(b, "cpu", isKernel), .flags = c_flags });
        const name = b.fmt("kernels_{s}", .{isa.name});
        m.linkLibrary(b.addLibrary(.{ .name = name, .linkage = .static, .root_module = kernels }));
    }
    return m;
}

pub fn build(b: *std.Build) void {
    const platform = b.option(Platform, "platform", "where the library shall run") orelse .@"x86_64-linux";
    const metal_cpp = b.option([]const u8, "metal-cpp", "folder of metal-cpp's headers, for platforms with Metal");
    if (platform.hasMetal() and metal_cpp == null) @panic("this platform needs -Dmetal-cpp");
    const eigen = b.option([]const u8, "eigen", "folder of Eigen's headers, for platforms without LAPACK") orelse
        fetchedEigen(b);
    const lapack = b.option([]const u8, "lapack", "a library with LAPACK, in place of Eigen");
    const accelerate = platform == .@"aarch64-macos";
    if (eigen == null and lapack == null and !accelerate) @panic("this platform needs -Deigen or -Dlapack");
    const use_lapack = accelerate or lapack != null;
    const decompositions: Decompositions = if (use_lapack) .{ .lapack = lapack } else .{ .eigen = eigen.? };

    const root = runtime(b, platform, null, metal_cpp, decompositions);
    const library = b.addLibrary(.{ .name = "denim", .linkage = .dynamic, .root_module = root });
    library.link_gc_sections = true;
    library.link_z_defs = true; // a kernel that is missing is found here, not at load
    b.getInstallStep().dependOn(&b.addInstallArtifact(library, .{ .dest_dir = .{ .override = .prefix } }).step);

    // Static where it runs under qemu, which then needs no system of that processor around it.
    const tests = runtime(b, platform, if (platform == .@"aarch64-linux") .musl else null, metal_cpp, decompositions);
    tests.addCSourceFiles(.{ .files = sources(b, "tests", all), .flags = &flags });
    const program = b.addExecutable(.{ .name = "native_test", .root_module = tests });
    const step = b.step("native-test", "build the native tests as one program");
    step.dependOn(&b.addInstallArtifact(program, .{ .dest_dir = .{ .override = .prefix } }).step);
}
