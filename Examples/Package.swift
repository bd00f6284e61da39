// swift-tools-version: 6.0
import PackageDescription

// A package of its own, as a user's would be: the library carries nothing of it.
let package = Package(
  name: "Examples",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "Backprop", path: "..")],
  targets: [
    .executableTarget(name: "mnist", dependencies: [.product(name: "Backprop", package: "Backprop")]),
    .executableTarget(name: "csv-to-idx", dependencies: [.product(name: "Backprop", package: "Backprop")]),
  ],
  swiftLanguageModes: [.v6]
)
