import Testing

@testable import BackpropTensors

@Suite("windows of pooling")
struct PoolingWindowsTests {
  @Test("their number and the largest of them are found without a list of them")
  func counts() {
    func check(_ axis: PoolingWindows.Axis, _ length: Int) {
      let windows = PoolingWindows([axis])
      guard let counts = try? windows.counts(over: [length], in: "pooling") else { return }
      let ranges = windows.ranges(over: [length])[0]
      #expect(counts == [ranges.count], "\(axis) over \(length)")
      #expect(
        ranges.allSatisfy { !$0.isEmpty && (0..<length).contains($0.lowerBound) && $0.upperBound <= length })
      #expect(windows.largestVolume(over: [length]) == ranges.map(\.count).max(), "\(axis) over \(length)")
    }
    for length in 0...9 {
      for count in 0...12 { check(.adaptive(count: count), length) }
      for (size, stride) in (0...6).flatMap({ size in (0...4).map { (size, $0) } }) {
        for (before, after) in (0...4).flatMap({ before in (0...3).map { (before, $0) } }) {
          check(.sliding(size: size, stride: stride, before: before, after: after), length)
        }
      }
    }
  }

  @Test("an axis as long as a file may say takes no list")
  func long() throws {
    let windows = PoolingWindows([.sliding(size: 2, stride: 2, before: 0, after: 0)])
    #expect(try windows.counts(over: [1 << 40], in: "pooling") == [1 << 39])
    #expect(windows.largestVolume(over: [1 << 40]) == 2)
  }
}
