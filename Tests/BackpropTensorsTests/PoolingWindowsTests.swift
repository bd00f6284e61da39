import Testing

@testable import BackpropTensors

@Suite("windows of pooling")
struct PoolingWindowsTests {
  /// Each window by its definition; nil: they don't fit.
  private static func listed(_ axis: PoolingWindows.Axis, _ length: Int) -> [Range<Int>]? {
    var starts: [(from: Int, to: Int)] = []
    switch axis {
    case .sliding(let size, let stride, let before, let after):
      guard size > 0, stride > 0 else { return nil }
      for start in Swift.stride(from: -before, through: length + after - size, by: stride) {
        starts.append((start, start + size))
      }
    case .adaptive(let count):
      for index in 0..<count {
        let share = Double(length) / Double(count)
        starts.append(
          (Int((Double(index) * share).rounded(.down)), Int((Double(index + 1) * share).rounded(.up))))
      }
    }
    let windows = starts.map { start in (0..<length).filter { (start.from..<start.to).contains($0) } }
    guard !windows.isEmpty, windows.allSatisfy({ !$0.isEmpty }) else { return nil }
    return windows.map { $0.first!..<$0.last! + 1 }
  }

  @Test("their number, places and the largest of them are those of the definition")
  func counts() {
    func check(_ axis: PoolingWindows.Axis, _ length: Int) {
      let windows = PoolingWindows([axis])
      let expected = Self.listed(axis, length)
      let counts = try? windows.counts(over: [length], in: "pooling")
      #expect(counts == expected.map { [$0.count] }, "\(axis) over \(length)")
      guard let expected else { return }
      #expect(windows.ranges(over: [length]) == [expected], "\(axis) over \(length)")
      #expect(
        windows.largestVolume(over: [length]) == expected.map(\.count).max(), "\(axis) over \(length)")
    }
    for length in 0...9 {
      // Powers of two and their multiples: shares that Double has to the bit.
      for count in [0, 1, 2, 4, 8, 16] { check(.adaptive(count: count), length) }
      for (size, stride) in (0...6).flatMap({ size in (0...4).map { (size, $0) } }) {
        for (before, after) in (0...4).flatMap({ before in (0...3).map { (before, $0) } }) {
          check(.sliding(size: size, stride: stride, before: before, after: after), length)
        }
      }
    }
  }

  @Test("shares of every number are as large as the largest of their list", arguments: 1...12)
  func shares(_ count: Int) {
    let windows = PoolingWindows([.adaptive(count: count)])
    for length in 1...30 {
      let ranges = windows.ranges(over: [length])[0]
      #expect(windows.largestVolume(over: [length]) == ranges.map(\.count).max(), "over \(length)")
    }
  }

  @Test("an axis as long as a file may say takes no list")
  func long() throws {
    let windows = PoolingWindows([.sliding(size: 2, stride: 2, before: 0, after: 0)])
    #expect(try windows.counts(over: [1 << 40], in: "pooling") == [1 << 39])
    #expect(windows.largestVolume(over: [1 << 40]) == 2)
  }
}
