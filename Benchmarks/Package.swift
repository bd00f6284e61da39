// swift-tools-version: 6.0
import PackageDescription

// A package of its own, so that the library carries nothing of it.
let package = Package(
  name: "Benchmarks",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "Backprop", path: "..")],
  targets: [
    .executableTarget(name: "benchmarks", dependencies: [.product(name: "Backprop", package: "Backprop")])
  ],
  swiftLanguageModes: [.v6]
)
