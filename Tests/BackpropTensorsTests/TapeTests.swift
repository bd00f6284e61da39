import Foundation
import Testing

@testable import BackpropTensors

/// Bytes of this process in memory now.
func residentBytes() -> Int {
  let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
  return fields.count > 1 ? Int(fields[1])! * 4096 : 0
}

@Suite("The tape", .serialized)
struct TapeTests {
  /// x ↦ x + x/2ⁿ… kept simple: each step multiplies by a constant, so that the gradient is the product.
  fileprivate static func chain(_ length: Int) -> (value: Double, gradient: Double, bytesPerStep: Int) {
    let factor = Tensor(1 + 1e-6)
    let before = residentBytes()
    var during = 0
    let (value, gradient) = valueAndGradient(at: Tensor(1.0)) { point in
      var x = point
      for _ in 0..<length { x = x * factor }
      during = residentBytes()
      return x
    }
    return (value.item(), gradient.item(), (during - before) / length)
  }

  @Test("a million operations: recorded, differentiated, released")
  @MainActor func millionOnMainThread() {
    let (value, gradient, _) = Self.chain(1_000_000)
    #expect(abs(value - exp(1)) < 1e-5)
    #expect(abs(gradient - value) < 1e-9)
  }

  @Test("an operation takes less than 500 bytes of the tape") func bytes() async {
    // In a process of its own: other tests take and free memory meanwhile.
    await #expect(processExitsWith: .success) {
      let bytes = TapeTests.chain(1_000_000).bytesPerStep
      // Measured: 383.
      #expect(bytes > 100 && bytes < 500, "\(bytes) bytes a step")
    }
  }

  @Test("the same on a thread with a small stack")
  func millionOnSmallThread() {
    nonisolated(unsafe) var result: (value: Double, gradient: Double, bytesPerStep: Int)?
    let done = DispatchSemaphore(value: 0)
    let thread = Thread {
      result = Self.chain(1_000_000)
      done.signal()
    }
    thread.stackSize = 256 << 10
    thread.start()
    done.wait()
    #expect(abs((result?.gradient ?? 0) - exp(1)) < 1e-5)
  }
}
