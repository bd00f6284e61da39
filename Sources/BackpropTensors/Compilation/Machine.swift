import Foundation
import OneDNN

/// What the library runs on and with: for reports of problems.
public enum Machine {
  /// The release of oneDNN that was loaded: `2.6.0`.
  public static var oneDNNVersion: String { text(OneDNN.Engine.version) }
  /// The release whose headers the library was built with.
  public static var oneDNNHeaderVersion: String { text(OneDNN.Engine.headerVersion) }
  /// The processors that the system lets this process use.
  public static var processorCount: Int { ProcessInfo.processInfo.activeProcessorCount }
  /// Bytes.
  public static var memory: Int { Int(clamping: ProcessInfo.processInfo.physicalMemory) }

  private static func text(_ version: (major: Int, minor: Int, patch: Int)) -> String {
    "\(version.major).\(version.minor).\(version.patch)"
  }

  /// The speed of a float32 product of square matrices, in floating-point operations a second: the best of `runs`.
  public static func matmulSpeed(size: Int = 1024, runs: Int = 5) -> Double {
    let (a, b) = (Tensor.ones([size, size]), Tensor.ones([size, size]))
    let clock = ContinuousClock()
    let times = (0..<max(runs, 1)).map { _ -> Double in
      let duration = clock.measure { _ = a.matmul(b) }.components
      return Double(duration.seconds) + Double(duration.attoseconds) * 1e-18
    }
    let operations = 2 * Double(size) * Double(size) * Double(size)
    return operations / max(times.min() ?? 1, 1e-9)
  }
}
