import BackpropTensors

/// Stretches of a signal at equal distances. A table says where each one's steps lie, and they are gathered by it.
enum Frames {
  /// Places in a table: 128 MB of them. At 16 kHz and Keras' sizes that are nine minutes.
  private static let most = 1 << 25

  static func check(_ count: Int, of length: Int, in signal: Shape, path: String) throws {
    guard count > most / length else { return }
    throw ModelError(
      .shape, at: path,
      "one call takes at most \(most / length) frames of \(length) steps, got \(count); cut the signal of \(signal)"
    )
  }

  /// int32 [count, length]
  static func places(_ count: Int, of length: Int, _ place: (_ frame: Int, _ step: Int) -> Int) -> Tensor {
    if let result = Tensor.ofTypeOnly([count, length], .int32) { return result }
    let storage = Storage(byteCount: count * length * MemoryLayout<Int32>.stride)
    let places = storage.bytes.bindMemory(to: Int32.self, capacity: count * length)
    for frame in 0..<count {
      for step in 0..<length { places[frame * length + step] = Int32(place(frame, step)) }
    }
    return Tensor(storage, shape: [count, length], dtype: .int32)
  }
}
