import BackpropNetworks
import BackpropTensors
import CZlib
import Foundation
import Testing

@testable import BackpropFiles

@Suite("Event files and logs")
struct TensorBoardTests {
  @Test("checksums are Castagnoli's, masked as TensorFlow does")
  func checksum() {
    let crc = EventRecord.crc(Array("123456789".utf8))
    #expect(crc == 0xE306_9283)
    #expect(EventRecord.masked(crc) == 0xC78A_B0E5)
  }

  @Test("records are TensorFlow's bytes")
  func golden() {
    let version = EventWriter.event(wallTime: 1_700_000_000) { $0.add(3, "brain.Event:2") }
    #expect(
      hexadecimal(EventRecord.framed(version)).filter { $0 != " " }
        == "1800000000000000a37f4b220900000040fc54d9411a0d627261696e2e4576656e743a32eced8f9d")
    let scalar = EventWriter.event(wallTime: 1_700_000_000, step: 3) { event in
      event.add(5) { summary in
        summary.add(1) { item in
          item.add(1, "epoch_loss")
          item.add(9) { $0.add(1) { $0.add(1, "scalars") } }
          item.add(8) { $0.addTensor(0.5) }
        }
      }
    }
    // The same fields in another order than TensorFlow's, which no reader minds: the length is the same.
    #expect(scalar.count == 0x34)
  }

  @Test("buckets are TensorFlow's")
  func buckets() {
    #expect(Histogram.rows([0, 1, 2, 3], buckets: 3) == [0, 1, 1, 1, 2, 1, 2, 3, 2])
    #expect(Histogram.rows([5, 5], buckets: 2) == [5, 5, 0, 5, 5, 2])
    #expect(Histogram.rows([], buckets: 2) == [0, 0, 0, 0, 0, 0])
    let extreme = Histogram.rows([-1e308, 1e308], buckets: 2)
    #expect(extreme.allSatisfy(\.isFinite) && extreme[2] + extreme[5] == 2)
  }

  /// Undoes what `PNG.encode` did.
  static func pixels(_ png: [UInt8], width: Int, height: Int, channels: Int) -> [UInt8] {
    let start = png.indices.first { png[$0...].starts(with: "IDAT".utf8) }! + 4
    let length = png[(start - 8)..<(start - 4)].reduce(0) { $0 << 8 | Int($1) }
    let rowSize = width * channels + 1
    var size = uLong(height * rowSize)
    var rows = [UInt8](repeating: 0, count: Int(size))
    let packed = Array(png[start..<start + length])
    #expect(uncompress(&rows, &size, packed, uLong(length)) == Z_OK)
    var result: [UInt8] = []
    for row in 0..<height { result += rows[(row * rowSize + 1)..<((row + 1) * rowSize)] }
    return result
  }

  @Test("pictures hold their pixels")
  func png() throws {
    let grey = try PNG.encode(Tensor([[0, 0.5, 1], [.nan, -1, 2]] as [[Float]]))
    #expect(Self.pixels(grey, width: 3, height: 2, channels: 1) == [0, 128, 255, 0, 0, 255])
    let bytes = (0..<24).map { UInt8($0) }
    let colour = try PNG.encode(Tensor(bytes, shape: [2, 4, 3]))
    #expect(Self.pixels(colour, width: 4, height: 2, channels: 3) == bytes)
    #expect(throws: ModelError.self) { try PNG.encode(Tensor.ones([2])) }
    #expect(throws: ModelError.self) { try PNG.encode(Tensor.ones([2, 2, 2])) }
  }

  static func model() throws -> Sequential {
    let model = Sequential(seed: 1) {
      Dense(4, activation: .relu)
      Dense(3, activation: .softmax)
    }
    try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
    return model
  }

  /// Everything that a run can write; also for `scripts/test --interop`, which reads it with TensorBoard.
  static func writeRun(_ folder: String) throws -> History {
    let model = try model()
    let x = counting([30, 5], .float32) / 60
    let y = Tensor((0..<30).map { Int32($0 % 3) })
    let board = TensorBoard(
      folder, histogramFreq: 1, writeImages: true, writeStepsPerSecond: true, updateFreq: .steps(2),
      hyperparameters: ["units": 4, "optimizer": "adam", "flag": true])
    let extra = LambdaCallback(onEpochEnd: { epoch, _ in
      try board.writer?.text("note", "**epoch** \(epoch)", step: epoch)
    })
    return try model.fit(
      x, y, epochs: 2, batchSize: 10, verbose: .silent, callbacks: [board, extra],
      validationData: LabelledData(x, y))
  }

  /// A run of a graph: two branches that meet, a layer in both, a model inside.
  static func writeBranches(_ folder: String) throws {
    let (a, b) = (Input([4], name: "a"), Input([3], name: "b"))
    let shared = Dense(3, name: "shared")
    let left = Dense(3, name: "left")(a)
    let joined = Concatenate(name: "joined")([left, shared(left), shared(b)])
    let tail = Sequential([Dense(2, name: "last")], name: "tail")
    let kind = Dense(1, name: "kind")(tail(joined))
    let model = try Model(inputs: [a, b], outputs: [kind], name: "graph")
    try model.compile(optimizer: Adam(), losses: [.mse])
    let x: [any ColumnConvertible] = [counting([6, 4], .float32), counting([6, 3], .float32)]
    _ = try model.fit(
      x, [counting([6, 1], .float32)], epochs: 1, verbose: .silent, callbacks: [TensorBoard(folder)])
  }

  @Test("a run is written under Keras' names")
  func run() throws {
    let folder = try TemporaryFolder()
    _ = try Self.writeRun(folder.path + "/logs")
    var texts: [String: String] = [:]
    for run in ["train", "validation"] {
      let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/logs/\(run)")
      #expect(
        names.count == 1 && names[0].hasPrefix("events.out.tfevents.") && names[0].hasSuffix(".v2"),
        "\(names)")
      texts[run] = String(decoding: try bytes(of: "\(folder.path)/logs/\(run)/\(names[0])"), as: UTF8.self)
    }
    for tag in [
      "epoch_loss", "epoch_accuracy", "epoch_learning_rate", "epoch_steps_per_second", "batch_loss",
      "batch_accuracy",
      "sequential/dense/kernel/histogram", "sequential/dense_1/bias/image", "keras", "graph_keras_model",
      "_hparams_/session_start_info", "_hparams_/session_end_info", "note",
    ] { #expect(texts["train"]!.contains(tag), "\(tag)") }
    for tag in ["epoch_loss", "evaluation_accuracy_vs_iterations"] {
      #expect(texts["validation"]!.contains(tag), "\(tag)")
    }
  }

  @Test("the graph of a functional model says which layers feed which")
  func graph() throws {
    let folder = try TemporaryFolder()
    try Self.writeBranches(folder.path)
    let name = try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/train")[0]
    let text = String(decoding: try bytes(of: "\(folder.path)/train/\(name)"), as: UTF8.self)
    for part in [
      "graph_keras_model", #""keras_history": ["shared", 1, 0]"#, #""keras_history": ["left", 0, 0]"#,
    ] {
      #expect(text.contains(part), "\(part)")
    }
  }

  @Test("CSV and JSON lines, and what a resumed run makes of them")
  func logs() throws {
    let folder = try TemporaryFolder()
    let (csv, json) = (folder.path + "/a.csv", folder.path + "/a.jsonl")
    func lines(_ path: String) throws -> [String] {
      String(decoding: try bytes(of: path), as: UTF8.self).split(separator: "\n").map(String.init)
    }
    let x = counting([30, 5], .float32) / 60
    let y = Tensor((0..<30).map { Int32($0 % 3) })
    func run(_ epochs: Int, _ callbacks: [Callback], resume: (any TrainingStateSource)? = nil) throws
      -> History
    {
      try Self.model().fit(
        x, y, epochs: epochs, verbose: .silent, callbacks: [CSVLogger(csv), JSONLogger(json)] + callbacks,
        resumeFrom: resume)
    }
    let history = try run(4, [])
    let whole = (try lines(csv), try lines(json))
    #expect(whole.0.count == 5 && whole.0[0] == "epoch,accuracy,loss")
    #expect(whole.0[2] == "1,\(history["accuracy"][1]),\(history["loss"][1])")
    #expect(whole.1.count == 4)
    #expect(
      whole.1[3] == #"{"epoch": 3, "loss": \#(history["loss"][3]), "accuracy": \#(history["accuracy"][3])}"#)

    // Killed in the third epoch, with half a line behind the second.
    _ = try run(2, [ModelCheckpoint(folder.path + "/c{epoch}.safetensors")])
    try Data((try lines(csv).joined(separator: "\n") + "\n2,0.4").utf8).write(to: URL(fileURLWithPath: csv))
    _ = try run(4, [], resume: folder.path + "/c2.safetensors")
    #expect(try lines(csv) == whole.0)
    #expect(try lines(json) == whole.1)
    _ = try run(1, [])
    #expect(try lines(csv) == Array(whole.0[...1]))
    #expect(throws: (any Error).self) {
      _ = try Self.model().fit(x, y, verbose: .silent, callbacks: [CSVLogger("/nowhere/a")])
    }
  }
}
