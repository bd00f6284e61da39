// swift-tools-version: 6.0
import PackageDescription

let package = Package(
  name: "Backprop",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Backprop", targets: ["Backprop"]),
    // Takes libpng and libjpeg-turbo; a product of its own, so that who has no image files needs neither.
    .library(name: "BackpropImages", targets: ["BackpropImages"]),
    .executable(name: "backprop", targets: ["BackpropCLI"]),
  ],
  targets: [
    // The only C. COneDNN wraps what Swift can't import of oneDNN; CKernels holds the vector kernels.
    .target(
      name: "COneDNN", dependencies: ["CKernels"],
      linkerSettings: [.linkedLibrary("dnnl"), .linkedLibrary("gomp", .when(platforms: [.linux]))]),
    .target(
      name: "CKernels",
      linkerSettings: [.linkedLibrary("m")]),

    .target(name: "OneDNN", dependencies: ["COneDNN", "CKernels"]),
    .target(name: "BackpropTensors", dependencies: ["CKernels", "OneDNN"]),
    .target(name: "BackpropNetworks", dependencies: ["BackpropTensors"]),
    .target(
      name: "BackpropData", dependencies: ["BackpropTensors", "CFiles", "CZlib"],
      resources: [.embedInCode("Resources/digits.idx.gz")],
      linkerSettings: [.linkedLibrary("z")]),
    // System calls and instructions that Swift can't import.
    .target(name: "CFiles"),
    // No pkgConfig: it would put the system's library folder before that of another oneDNN.
    .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
    .target(
      name: "BackpropFiles",
      dependencies: ["BackpropTensors", "BackpropNetworks", "BackpropData", "CFiles", "CZlib"],
      linkerSettings: [.linkedLibrary("z")]),
    .target(
      name: "Backprop",
      dependencies: ["BackpropTensors", "BackpropNetworks", "BackpropData", "BackpropFiles"]),
    .target(name: "CImages", linkerSettings: [.linkedLibrary("png"), .linkedLibrary("jpeg")]),
    .target(name: "BackpropImages", dependencies: ["BackpropTensors", "BackpropData", "CImages"]),
    .executableTarget(name: "BackpropCLI", dependencies: ["Backprop", "BackpropImages"]),

    .target(name: "TestSupport", dependencies: ["BackpropTensors"], path: "Tests/TestSupport"),
    .testTarget(name: "CKernelsTests", dependencies: ["CKernels"]),
    .testTarget(name: "OneDNNTests", dependencies: ["OneDNN", "CKernels"]),
    // Counts the memory that a training step takes; in the tests only.
    .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
    .testTarget(name: "BackpropTensorsTests", dependencies: ["BackpropTensors", "TestSupport"]),
    .testTarget(
      name: "BackpropNetworksTests", dependencies: ["Backprop", "TestSupport", "AllocationCounter"]),
    .testTarget(name: "BackpropDataTests", dependencies: ["BackpropData", "CZlib"]),
    .testTarget(
      name: "BackpropFilesTests", dependencies: ["BackpropFiles", "BackpropImages", "TestSupport", "CZlib"]),
    .testTarget(name: "BackpropImagesTests", dependencies: ["Backprop", "BackpropImages", "TestSupport"]),
    .testTarget(name: "BackpropCLITests", dependencies: ["BackpropCLI", "TestSupport"]),
  ],
  swiftLanguageModes: [.v6]
)

// CI's build for oneDNN 3 has the targets that its version can change, and their tests: nothing else imports oneDNN.
if Context.environment["BACKPROP_TARGETS"] == "engine" {
  let engine: Set = [
    "CKernels", "COneDNN", "OneDNN", "OneDNNTests", "BackpropTensors", "BackpropTensorsTests", "TestSupport",
  ]
  package.products = []
  package.targets.removeAll { !engine.contains($0.name) }
}
