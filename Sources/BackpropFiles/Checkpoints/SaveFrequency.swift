import BackpropData
import BackpropNetworks

/// How often a callback writes.
public enum SaveFrequency: Hashable, Sendable {
  /// After each epoch, its validation and the other callbacks.
  case epoch
  /// After every so many epochs.
  case epochs(Int)
  /// After every so many steps, counted over epochs; in the middle of an epoch too.
  case steps(Int)

  func check(_ callback: String) throws {
    switch self {
    case .epoch: break
    case .epochs(let count), .steps(let count):
      guard count > 0 else {
        throw ModelError(.argument, "\(callback): the frequency must be positive, got \(count)")
      }
    }
  }

  /// Whether it is time after this epoch, counted from 0.
  func fits(epoch: Int) -> Bool {
    switch self {
    case .epoch: true
    case .epochs(let count): (epoch + 1) % count == 0
    case .steps: false
    }
  }

  /// Whether it is time after so many steps.
  func fits(stepCount: Int) -> Bool {
    if case .steps(let count) = self { return stepCount % count == 0 }
    return false
  }
}
