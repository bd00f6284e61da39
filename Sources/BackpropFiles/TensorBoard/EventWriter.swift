import BackpropData
import BackpropNetworks
import BackpropTensors
import Foundation

/// Writes numbers, distributions, pictures and texts for TensorBoard, without TensorFlow.
///
/// ```swift
/// let writer = try EventWriter("runs/first")
/// try writer.scalar("loss", 0.25, step: 10)
/// try writer.histogram("kernel", model.getWeights()[0], step: 10)
/// ```
///
/// `tensorboard --logdir runs` shows it. Each folder is a run; several writers may write to one. An event is handed to the
/// system when it is written; what a killed process leaves is read up to the last whole event.
public final class EventWriter: @unchecked Sendable {
  /// The file, whose name TensorBoard knows by `tfevents`.
  public let path: String
  private let file: AppendingFile

  /// Makes a new file in `folder`, which is made when it isn't there.
  ///
  /// - Throws: `DataError` with the path and the reason.
  public init(_ folder: String) throws {
    try AtomicFile.makeFolder(folder, for: "event files")
    let seconds = String(format: "%010d", Int(Date().timeIntervalSince1970))
    let host = ProcessInfo.processInfo.hostName.replacing("/", with: "-")
    var number = 0
    var made: AppendingFile?
    while made == nil {
      made = try .make("\(folder)/events.out.tfevents.\(seconds).\(host).\(getpid()).\(number).v2")
      number += 1
    }
    file = made!
    path = file.path
    try write { event in
      event.add(3, "brain.Event:2")
      event.add(10) { $0.add(1, "backprop") }
    }
  }

  // MARK: What can be written

  /// A number of a series.
  ///
  /// - Throws: `DataError` with the path when the file can't be written.
  public func scalar(_ tag: String, _ value: Double, step: Int) throws {
    try summary(tag, "scalars", step: step) { $0.add(8) { $0.addTensor(Float(value)) } }
  }

  /// How the elements of a tensor are distributed, in `buckets` steps between the smallest and the largest. Elements that
  /// aren't finite are left out.
  public func histogram(_ tag: String, _ tensor: Tensor, step: Int, buckets: Int = 30) throws {
    let rows = Histogram.rows(tensor.doubles.filter(\.isFinite), buckets: buckets)
    try summary(tag, "histograms", step: step) { value in
      value.add(8) { $0.addTensor(rows, shape: [rows.count / 3, 3]) }
    }
  }

  /// Pictures of the same size, each an encoded PNG or JPEG.
  public func images(_ tag: String, encoded pictures: [[UInt8]], width: Int, height: Int, step: Int) throws {
    let parts = [Array("\(width)".utf8), Array("\(height)".utf8)] + pictures
    try summary(tag, "images", step: step) { $0.add(8) { $0.addTensor(parts, shape: [parts.count]) } }
  }

  /// A picture: [height, width] or [height, width, channels] with 1, 3 or 4 channels; float elements of 0…1, or uint8.
  ///
  /// - Throws: also `ModelError` for a tensor of another shape.
  public func image(_ tag: String, _ picture: Tensor, step: Int) throws {
    let encoded = try PNG.encode(picture)
    try images(
      tag, encoded: [encoded], width: picture.shape[1], height: picture.shape[0], step: step)
  }

  /// A text in Markdown.
  public func text(_ tag: String, _ text: String, step: Int) throws {
    try summary(tag, "text", step: step) { $0.add(8) { $0.addTensor([Array(text.utf8)], shape: []) } }
  }

  /// A model's layers for the graph tab, as Keras writes them.
  public func graph(_ config: ConfigValue) throws {
    let json = JSONWriter.write(config)
    try summary("keras", "graph_keras_model", content: Array("1".utf8), step: 0) {
      $0.add(8) { $0.addTensor([json], shape: []) }
    }
  }

  /// What this run was made with, for the table of runs: numbers, booleans and texts.
  public func hyperparameters(_ values: [String: ConfigValue], group: String = "") throws {
    let start = Date().timeIntervalSince1970
    var info = ProtocolBuffer()
    info.add(3) { session in
      for (name, value) in values.sorted(by: { $0.key < $1.key }) {
        session.add(1) { entry in
          entry.add(1, name)
          entry.add(2) { inner in
            switch value {
            case .bool(let flag): inner.add(4, always: flag)
            case .integer, .number: inner.add(2, always: value.double ?? 0)
            default: inner.add(3, value.text ?? String(decoding: JSONWriter.write(value), as: UTF8.self))
            }
          }
        }
      }
      if !group.isEmpty { session.add(4, group) }
      session.add(5, always: start)
    }
    try summary("_hparams_/session_start_info", "hparams", content: info.bytes, step: 0) {
      $0.add(8) { $0.addTensor([] as [Double], shape: [0], dtype: 1) }
    }
  }

  /// That the run whose ``hyperparameters(_:group:)`` were written is over.
  public func endOfRun(success: Bool = true) throws {
    var info = ProtocolBuffer()
    info.add(4) { session in
      session.add(1, success ? 1 : 2)
      session.add(2, always: Date().timeIntervalSince1970)
    }
    try summary("_hparams_/session_end_info", "hparams", content: info.bytes, step: 0) {
      $0.add(8) { $0.addTensor([] as [Double], shape: [0], dtype: 1) }
    }
  }

  /// Waits until the disk has what was written; nothing can be written after it. A writer that is dropped is closed as well,
  /// but can't say whether that worked.
  ///
  /// - Throws: `DataError` with the path and the reason.
  public func close() throws { try file.close() }

  // MARK: Events

  private func summary(
    _ tag: String, _ plugin: String, content: [UInt8] = [], step: Int,
    _ value: (inout ProtocolBuffer) -> Void
  ) throws {
    try write(step: step) { event in
      event.add(5) { summary in
        summary.add(1) { item in
          item.add(1, tag)
          item.add(9) { metadata in
            metadata.add(1) { data in
              data.add(1, plugin)
              if !content.isEmpty { data.add(2, content) }
            }
          }
          value(&item)
        }
      }
    }
  }

  static func event(wallTime: Double, step: Int = 0, _ fill: (inout ProtocolBuffer) -> Void) -> [UInt8] {
    var event = ProtocolBuffer()
    event.add(1, always: wallTime)
    event.add(2, step)
    fill(&event)
    return event.bytes
  }

  private func write(step: Int = 0, _ fill: (inout ProtocolBuffer) -> Void) throws {
    let record = EventRecord.framed(Self.event(wallTime: Date().timeIntervalSince1970, step: step, fill))
    try file.append(record)
  }
}

extension ProtocolBuffer {
  /// A float32 scalar: double ones are dropped by TensorBoard's faster loader.
  mutating func addTensor(_ value: Float) {
    add(1, 1)
    add(2, [UInt8]())
    var packed: [UInt8] = []
    packed.append(little: value.bitPattern)
    add(5, packed)
  }

  /// Float64 (2) unless `dtype` says float32 (1), for which there is no element to write here.
  mutating func addTensor(_ values: [Double], shape: [Int], dtype: Int = 2) {
    add(1, dtype)
    add(shape: shape)
    if values.isEmpty { return }
    var content: [UInt8] = []
    content.reserveCapacity(8 * values.count)
    for value in values { content.append(little: value.bitPattern) }
    add(4, content)
  }

  mutating func addTensor(_ strings: [[UInt8]], shape: [Int]) {
    add(1, 7)
    add(shape: shape)
    for string in strings { add(8, string) }
  }

  private mutating func add(shape: [Int]) {
    add(2) { inner in
      for size in shape { inner.add(2) { $0.add(1, size) } }
    }
  }
}

/// TensorFlow's buckets.
enum Histogram {
  /// For each bucket its left edge, right edge and count, flat.
  static func rows(_ values: [Double], buckets: Int) -> [Double] {
    guard let low = values.min(), let high = values.max() else {
      return [Double](repeating: 0, count: 3 * buckets)
    }
    var counts = [Double](repeating: 0, count: buckets)
    if low == high {
      counts[buckets - 1] = Double(values.count)
      return counts.flatMap { [low, low, $0] }
    }
    // By halves: the difference of two large numbers may be none.
    let width = (high / 2 - low / 2) / Double(buckets) * 2
    for value in values {
      let place = (value / 2 - low / 2) / (width / 2)
      counts[min(max(Int(place.isFinite ? place : 0), 0), buckets - 1)] += 1
    }
    return counts.enumerated().flatMap { index, count in
      [low + Double(index) * width, index + 1 == buckets ? high : low + Double(index + 1) * width, count]
    }
  }
}
