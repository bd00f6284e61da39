import Backprop
import Foundation

/// How fast models are saved and loaded, beside the speed at which the disk takes the same bytes.
enum FileSpeed {
  /// What saving and loading have to reach of the disk's speed.
  private static let limit = 0.7
  private static let rounds = 5

  private struct Format: Sendable {
    var name: String
    var file: String
    var save: @Sendable (Model, String) throws -> Void
    /// Gives the first weight as it was read; takes a built model of the same layers.
    var load: @Sendable (Model, String) throws -> Tensor
  }

  private static let formats = [
    Format(name: "keras", file: "model.keras", save: { try $0.save($1) }) {
      try Model.load($1).getWeights()[0]
    },
    weights("weights-h5", "model.weights.h5"),
    weights("safetensors", "model.safetensors"),
    // Every page is touched by the sum: mapping alone reads nothing.
    Format(name: "safetensors-mapped", file: "mapped.safetensors", save: { try $0.saveWeights($1) }) {
      let tensors = try Safetensors.load($1, mapped: true)
      for tensor in tensors.values { _ = tensor.sum().floats }
      return tensors["dense.kernel"]!
    },
  ]

  private static func weights(_ name: String, _ file: String) -> Format {
    Format(name: name, file: file, save: { try $0.saveWeights($1) }) {
      try $0.loadWeights($1)
      return $0.getWeights()[0]
    }
  }

  /// 100,679,680 parameters, 403 MB.
  private static func model(seed: Int) throws -> Sequential {
    let model = Sequential(seed: seed) {
      Dense(8192, name: "dense")
      Dense(8192, name: "dense_1")
    }
    try model.build(sampleShape: [4096])
    return model
  }

  /// Each round writes the bytes bare, then saves and loads every format. Files lie in memory when they are loaded, as
  /// they were written a moment ago; nothing else is kept.
  static func run(_ options: Options) throws {
    let folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
      .appendingPathComponent("files-\(ProcessInfo.processInfo.processIdentifier)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let model = try model(seed: 0)
    let weights = model.getWeights()
    var disk: [Double] = []
    var diskMemory = 0
    var saves = formats.map { _ in [Double]() }
    var loads = saves
    var memory = formats.map { _ in (save: 0, load: 0) }
    for _ in 0..<rounds {
      let bare = try measured { try write(weights, to: folder.appendingPathComponent("bare").path) }
      disk.append(bare.seconds)
      diskMemory = max(diskMemory, bare.memory)
      for (position, format) in formats.enumerated() {
        let path = folder.appendingPathComponent(format.file).path
        let save = try measured { try format.save(model, path) }
        let other = try Self.model(seed: 1)
        var first: Tensor?
        let load = try measured { first = try format.load(other, path) }
        guard first?.floats == weights[0].floats else {
          throw Failure(text: "\(format.file): the weights differ")
        }
        try FileManager.default.removeItem(atPath: path)
        saves[position].append(save.seconds)
        loads[position].append(load.seconds)
        memory[position] = (
          max(memory[position].save, save.memory), max(memory[position].load, load.memory)
        )
      }
    }
    var bare = Result("files", arm: "disk write", unit: "a write", samples: disk)
    bare.peak_rss_mb = Double(diskMemory) / 1e6
    try bare.show(asJSON: options.json)
    for (position, format) in formats.enumerated() {
      for (action, samples, bytes) in [
        ("save", saves[position], memory[position].save), ("load", loads[position], memory[position].load),
      ] {
        var result = Result("files", arm: "\(format.name) \(action)", unit: "a \(action)", samples: samples)
        result.peak_rss_mb = Double(bytes) / 1e6
        result.ratio = bare.median_s / result.median_s
        try result.show(asJSON: options.json)
        if !options.json { check(result.ratio!, atLeast: limit) }
      }
    }
  }

  /// Writes the weights' bytes one behind the other, until they are on the disk.
  private static func write(_ tensors: [Tensor], to path: String) throws {
    defer { unlink(path) }
    func failure() -> Failure { Failure(text: "\(path): \(String(cString: strerror(errno)))") }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard descriptor >= 0 else { throw failure() }
    defer { close(descriptor) }
    for tensor in tensors {
      try tensor.withUnsafeBytes { bytes in
        var rest = bytes[...]
        while !rest.isEmpty {
          let part = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
          let count = Foundation.write(descriptor, part.baseAddress, part.count)
          guard count > 0 else { throw failure() }
          rest = rest.dropFirst(count)
        }
      }
    }
    guard fsync(descriptor) == 0 else { throw failure() }
  }

  /// Seconds, and the bytes of memory that it took at most beyond what there was.
  private static func measured(_ body: () throws -> Void) rethrows -> (seconds: Double, memory: Int) {
    // Sets the peak back to what there is; only Linux can.
    if let handle = FileHandle(forWritingAtPath: "/proc/self/clear_refs") {
      try? handle.write(contentsOf: Data("5".utf8))
    }
    let before = status("VmRSS:")
    let time = try seconds(body)
    return (time, status("VmHWM:") - before)
  }

  private static func status(_ field: String) -> Int {
    let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix(field) }
    return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
  }
}
