import CKernels
import Testing

/// Windows over two axes of images, for the C kernels and for a plain loop.
private final class Windows: CustomTestStringConvertible, Sendable {
  let batch, channels: Int
  let sizes: [Int]
  let ranges: [[Range<Int>]]
  private nonisolated(unsafe) let begins, ends: [Memory<Int64>]

  init(_ batch: Int, _ sizes: [Int], _ channels: Int, _ ranges: [[Range<Int>]]) {
    self.batch = batch
    self.channels = channels
    self.sizes = sizes
    self.ranges = [[0..<1]] + ranges
    begins = self.ranges.map { Memory($0.map { Int64($0.lowerBound) }) }
    ends = self.ranges.map { Memory($0.map { Int64($0.upperBound) }) }
  }

  var testDescription: String { "\(batch) × \(sizes) × \(channels), windows \(ranges.dropFirst())" }
  var inputCount: Int { batch * sizes[0] * sizes[1] * channels }
  var outputCount: Int { batch * ranges[1].count * ranges[2].count * channels }

  var overlap: Bool {
    ranges.contains { zip($0, $0.dropFirst()).contains { $0.upperBound > $1.lowerBound } }
  }
  var covers: Bool {
    zip(ranges, [1] + sizes).allSatisfy { list, size in
      (0..<size).allSatisfy { position in list.contains { $0.contains(position) } } && !overlap
    }
  }

  var native: ck_windows {
    ck_windows(
      batch: Int64(batch), channels: Int64(channels), in: (1, Int64(sizes[0]), Int64(sizes[1])),
      out: (1, Int64(ranges[1].count), Int64(ranges[2].count)),
      begin: (
        UnsafePointer(begins[0].pointer), UnsafePointer(begins[1].pointer), UnsafePointer(begins[2].pointer)
      ),
      end: (UnsafePointer(ends[0].pointer), UnsafePointer(ends[1].pointer), UnsafePointer(ends[2].pointer)),
      overlap: overlap, covers: covers)
  }

  /// For each element of the result the places of its window's cells.
  var cells: [[Int]] {
    var all: [[Int]] = []
    for image in 0..<batch {
      for rows in ranges[1] {
        for columns in ranges[2] {
          for channel in 0..<channels {
            all.append(
              rows.flatMap { row in
                columns.map { ((image * sizes[0] + row) * sizes[1] + $0) * channels + channel }
              })
          }
        }
      }
    }
    return all
  }

  static let all: [Windows] = [
    Windows(3, [4, 6], 16, [[0..<2, 2..<4], [0..<2, 2..<4, 4..<6]]),
    // Cells that no window has, at the end and between.
    Windows(2, [5, 7], 5, [[0..<2, 2..<4], [1..<3, 4..<6]]),
    // Windows that overlap, cut at the edges.
    Windows(2, [4, 5], 33, [[0..<2, 1..<4, 3..<4], [0..<3, 2..<5]]),
    Windows(1, [20, 18], 1, [[0..<20], [0..<18]]),
    Windows(2, [6, 4], 37, [[0..<2, 2..<4, 4..<6], [0..<2, 2..<4]]),
    Windows(40, [8, 8], 17, [[0..<4, 4..<8], [0..<4, 4..<8]]),
  ]
}

extension Kernels {
  @Suite struct Pooling {
    @Test("the largest, its place, and back", arguments: Windows.all, [true, false])
    fileprivate func largest(_ windows: Windows, narrow: Bool) {
      // 360 cells don't fit a byte.
      if narrow, windows.cells[0].count > 256 { return }
      var numbers = Numbers(seed: 3)
      let x = numbers.take(windows.inputCount), g = numbers.take(windows.outputCount)
      let cells = windows.cells
      let chosen = cells.map { cells in cells.indices.max { x[cells[$0]] < x[cells[$1]] }! }
      var spread = [Float](repeating: 0, count: x.count)
      for (result, cells) in cells.enumerated() { spread[cells[chosen[result]]] += g[result] }
      forEachInstructionSet { set in
        let (one, two) = onOneAndTwoThreads {
          let src = Memory(x), dst = Memory<Float>(repeating: 0, count: g.count)
          let bytes = Memory<UInt8>(repeating: 0, count: g.count)
          let words = Memory<Int32>(repeating: 0, count: g.count)
          let positions: UnsafeMutableRawPointer = narrow ? .init(bytes.pointer) : .init(words.pointer)
          var forward = ck_max_pool(
            windows: windows.native, src: src.pointer, dst: dst.pointer, positions: positions, narrow: narrow,
            relu: false)
          ck_max_pool_run(&forward)
          let relu = Memory<Float>(repeating: 0, count: g.count)
          (forward.dst, forward.positions, forward.relu) = (relu.pointer, nil, true)
          ck_max_pool_run(&forward)
          let gradient = Memory(g), back = Memory<Float>(repeating: .nan, count: x.count)
          var backward = ck_max_pool_gradient(
            windows: windows.native, g: gradient.pointer, positions: positions, dst: back.pointer,
            narrow: narrow)
          ck_max_pool_gradient_run(&backward)
          keep(src, gradient, bytes, words)
          #expect(dst.isIntact && bytes.isIntact && words.isIntact && back.isIntact && relu.isIntact)
          let places = narrow ? bytes.values.map { Int($0) } : words.values.map { Int($0) }
          #expect(places == chosen, "\(set)")
          return [dst.values, relu.values, back.values]
        }
        #expect(one == two)
        let values = zip(cells, chosen).map { x[$0[$1]] }
        #expect(one[0] == values, "\(set)")
        #expect(one[1] == values.map { max($0, 0) }, "\(set)")
        #expect(zip(one[2], spread).allSatisfy { abs($0 - $1) <= 1e-6 }, "\(set)")
      }
    }

    @Test("the first of equals, NaN before all, −∞ alone")
    func ties() {
      let windows = Windows(1, [1, 3], 3, [[0..<1], [0..<3]])
      // Channel by channel: 2 2 1, 1 NaN 3, −∞ −∞ −∞.
      let x: [Float] = [2, 1, -.infinity, 2, .nan, -.infinity, 1, 3, -.infinity]
      forEachInstructionSet { set in
        let src = Memory(x), dst = Memory<Float>(repeating: 0, count: 3)
        let places = Memory<UInt8>(repeating: 9, count: 3)
        var pool = ck_max_pool(
          windows: windows.native, src: src.pointer, dst: dst.pointer, positions: places.pointer,
          narrow: true,
          relu: false)
        ck_max_pool_run(&pool)
        keep(src)
        #expect(dst.values[0] == 2 && dst.values[1].isNaN && dst.values[2] == -.infinity, "\(set)")
        #expect(places.values == [0, 1, 0], "\(set)")
      }
    }

    @Test("the mean, and back", arguments: Windows.all)
    fileprivate func mean(_ windows: Windows) {
      var numbers = Numbers(seed: 4)
      let x = numbers.take(windows.inputCount), g = numbers.take(windows.outputCount)
      let cells = windows.cells
      let means = cells.map { cells in cells.reduce(0.0) { $0 + Double(x[$1]) } / Double(cells.count) }
      var spread = [Double](repeating: 0, count: x.count)
      for (result, cells) in cells.enumerated() {
        for cell in cells { spread[cell] += Double(g[result]) / Double(cells.count) }
      }
      forEachInstructionSet { set in
        let (one, two) = onOneAndTwoThreads {
          let src = Memory(x), dst = Memory<Float>(repeating: 0, count: g.count)
          var forward = ck_average_pool(windows: windows.native, src: src.pointer, dst: dst.pointer)
          ck_average_pool_run(&forward)
          let gradient = Memory(g), back = Memory<Float>(repeating: .nan, count: x.count)
          var backward = ck_average_pool(windows: windows.native, src: gradient.pointer, dst: back.pointer)
          ck_average_pool_gradient_run(&backward)
          keep(src, gradient)
          #expect(dst.isIntact && back.isIntact)
          return [dst.values, back.values]
        }
        #expect(one == two)
        #expect(zip(one[0], means).allSatisfy { abs(Double($0) - $1) <= 1e-5 }, "\(set)")
        #expect(zip(one[1], spread).allSatisfy { abs(Double($0) - $1) <= 1e-5 }, "\(set)")
      }
    }
  }
}
