/// The generic kernels: any floating-point type, window by window.
extension PoolingWindows {
  /// Calls `body` for every element of the result in order, with the element's number and the places of its window's
  /// cells in the input.
  private func forEachWindow(_ input: Shape, _ body: (_ result: Int, _ cells: [Int]) -> Void) {
    let spatial = Array(input.dimensions[1...axes.count])
    let ranges = ranges(over: spatial)
    let channels = input[-1]
    let strides = input.strides
    let counts = Shape(ranges.map(\.count))
    var result = 0
    for image in 0..<input[0] {
      forEachElement(of: counts, strides: (0..<axes.count).map { axis in unit(axis) }) { _, index in
        var cells = [image * strides[0]]
        for axis in 0..<axes.count {
          let range = ranges[axis][index[axis]]
          let stride = strides[axis + 1]
          cells = cells.flatMap { cell in range.map { cell + $0 * stride } }
        }
        for channel in 0..<channels {
          body(result, channel == 0 ? cells : cells.map { $0 + channel })
          result += 1
        }
      }
    }
  }

  /// Strides that make an offset count the steps along one axis alone.
  private func unit(_ axis: Int) -> [Int] { (0..<axes.count).map { $0 == axis ? 1 : 0 } }

  func largest(_ input: Buffer, _ outputs: [Buffer]) {
    switch input.dtype {
    case .float32: largest(input, outputs, Float.self)
    default: largest(input, outputs, Double.self)
    }
  }

  private func largest<T: Real>(_ input: Buffer, _ outputs: [Buffer], _: T.Type) {
    let (source, target) = (input.elements(as: T.self), outputs[0].elements(as: T.self))
    let positions = outputs.count > 1 ? outputs[1] : nil
    forEachWindow(input.shape) { result, cells in
      var best = -T.infinity
      var chosen = 0
      for (number, cell) in cells.enumerated() where source[cell] > best || source[cell].isNaN {
        (best, chosen) = (source[cell], number)
      }
      target[result] = best
      positions?.storePosition(chosen, at: result)
    }
  }

  func spreadLargest(_ inputs: [Buffer], _ output: Buffer) {
    switch inputs[0].dtype {
    case .float32: spreadLargest(inputs, output, Float.self)
    default: spreadLargest(inputs, output, Double.self)
    }
  }

  private func spreadLargest<T: Real>(_ inputs: [Buffer], _ output: Buffer, _: T.Type) {
    let (gradient, target) = (inputs[0].elements(as: T.self), output.elements(as: T.self))
    target.update(repeating: 0)
    forEachWindow(output.shape) { result, cells in
      target[cells[inputs[1].position(at: result)]] += gradient[result]
    }
  }

  func gatherLargest(_ inputs: [Buffer], _ output: Buffer) {
    switch inputs[0].dtype {
    case .float32: gatherLargest(inputs, output, Float.self)
    default: gatherLargest(inputs, output, Double.self)
    }
  }

  private func gatherLargest<T: Real>(_ inputs: [Buffer], _ output: Buffer, _: T.Type) {
    let (source, target) = (inputs[0].elements(as: T.self), output.elements(as: T.self))
    forEachWindow(inputs[0].shape) { result, cells in
      target[result] = source[cells[inputs[1].position(at: result)]]
    }
  }

  /// The mean of each window, or, where it `spreads`, each number in equal shares over its window.
  func average(_ input: Buffer, _ output: Buffer, spreads: Bool) {
    switch input.dtype {
    case .float32: average(input, output, spreads, Float.self)
    default: average(input, output, spreads, Double.self)
    }
  }

  private func average<T: Real>(_ input: Buffer, _ output: Buffer, _ spreads: Bool, _: T.Type) {
    let (source, target) = (input.elements(as: T.self), output.elements(as: T.self))
    if spreads { target.update(repeating: 0) }
    forEachWindow(spreads ? output.shape : input.shape) { result, cells in
      let share = 1 / T(cells.count)
      if spreads {
        for cell in cells { target[cell] += source[result] * share }
      } else {
        target[result] = cells.reduce(T(0)) { $0 + source[$1] } * share
      }
    }
  }
}

extension Buffer {
  fileprivate func storePosition(_ position: Int, at index: Int) {
    if dtype == .uint8 {
      elements(as: UInt8.self)[index] = UInt8(position)
    } else {
      elements(as: Int32.self)[index] = Int32(position)
    }
  }

  fileprivate func position(at index: Int) -> Int {
    dtype == .uint8 ? Int(elements(as: UInt8.self)[index]) : Int(elements(as: Int32.self)[index])
  }
}
