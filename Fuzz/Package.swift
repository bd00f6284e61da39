// swift-tools-version: 6.0
import PackageDescription

// A package of its own: it is built with libFuzzer and AddressSanitizer, by scripts/fuzz.
let package = Package(
  name: "Fuzz",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "Backprop", path: "..")],
  targets: [
    .executableTarget(
      name: "fuzz-readers",
      dependencies: [
        .product(name: "Backprop", package: "Backprop"),
        .product(name: "BackpropImages", package: "Backprop"),
      ])
  ],
  swiftLanguageModes: [.v6]
)
