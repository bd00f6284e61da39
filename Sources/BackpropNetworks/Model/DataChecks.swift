import BackpropTensors

enum DataChecks {
  /// Columns of one length that hold something.
  static func count(_ inputs: [Column], _ labels: [Column], _ weights: Column?) throws -> Int {
    guard let first = inputs.first else { throw ModelError(.data, "there are no inputs") }
    guard first.count > 0 else {
      throw ModelError(.data, "there are no samples: the inputs have shape \(first.shape)")
    }
    for (number, other) in inputs.enumerated().dropFirst() where other.count != first.count {
      throw ModelError(.data, "input 0 has \(first.count) rows, input \(number) has \(other.count)")
    }
    for label in labels where label.count != first.count {
      throw ModelError(
        .data, "the inputs have \(first.count) rows \(first.shape), the labels \(label.count) \(label.shape)")
    }
    if let weights, weights.count != first.count {
      throw ModelError(.data, "the inputs have \(first.count) rows, the sample weights \(weights.count)")
    }
    return first.count
  }

  /// Every number is one.
  static func finite(_ columns: [Column], _ what: String) throws {
    for (number, column) in columns.enumerated() {
      guard let position = firstNotFinitePosition(column.stored) else { continue }
      let row = position / max(column.sampleShape.elementCount, 1)
      let value = column.stored.withUnsafeBytes {
        loadElement(position, from: $0.baseAddress!, dtype: column.stored.dtype)
      }
      let which = columns.count > 1 ? " (number \(number))" : ""
      throw ModelError(
        .data, "\(what)\(which) hold \(value) in row \(row); leave the row out or replace the value")
    }
  }

  /// Every label is a class number, or the one that is ignored.
  ///
  /// - Parameters:
  ///   - name: what one of them is called.
  ///   - expected: what it should be.
  static func labels(
    _ column: Column, classes: Int, ignoring ignored: Int?, name: String = "the label",
    expected: String = "a class number"
  ) throws {
    let tensor = column.stored
    let rowSize = max(column.sampleShape.elementCount, 1)
    let bad = tensor.withUnsafeBytes { bytes -> (position: Int, value: Double)? in
      guard let base = bytes.baseAddress else { return nil }
      switch tensor.dtype {
      case .uint8: return outside(bytes.bindMemory(to: UInt8.self), classes, ignored)
      case .int8: return outside(bytes.bindMemory(to: Int8.self), classes, ignored)
      case .int16: return outside(bytes.bindMemory(to: Int16.self), classes, ignored)
      case .int32: return outside(bytes.bindMemory(to: Int32.self), classes, ignored)
      case .int64: return outside(bytes.bindMemory(to: Int64.self), classes, ignored)
      case .bool: return nil
      case .float32, .float64, .float16, .bfloat16:
        for position in 0..<tensor.count {
          let value = loadElement(position, from: base, dtype: tensor.dtype)
          let isClass = value >= 0 && value < Double(classes) && value == value.rounded()
          if !isClass, ignored.map({ Double($0) != value }) ?? true { return (position, value) }
        }
        return nil
      }
    }
    guard let bad else { return }
    let value = bad.value == bad.value.rounded() ? "\(Int(bad.value))" : "\(bad.value)"
    throw ModelError(
      .data,
      "\(name) in row \(bad.position / rowSize) is \(value), expected \(expected) in 0..<\(classes)")
  }

  /// Every number is one that the layer at `path` knows: 0 ..< count.
  static func numbers(_ column: Column, below count: Int, path: String) throws {
    do {
      try labels(column, classes: count, ignoring: nil, name: "the number", expected: "one")
    } catch let error as ModelError { throw ModelError(error.kind, at: path, error.message) }
  }

  private static func outside<Integer: FixedWidthInteger>(
    _ labels: UnsafeBufferPointer<Integer>, _ classes: Int, _ ignored: Int?
  ) -> (Int, Double)? {
    for (position, label) in labels.enumerated() {
      let value = Int(clamping: label)
      if value < 0 || value >= classes, value != ignored { return (position, Double(value)) }
    }
    return nil
  }

  static func positive(_ name: String, _ value: Int?) throws {
    if let value, value <= 0 { throw ModelError(.argument, "\(name) must be positive, got \(value)") }
  }
}
