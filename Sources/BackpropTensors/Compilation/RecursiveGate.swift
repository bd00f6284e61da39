import Foundation

/// A lock that its holder may take again: a compiled step inside `fit`, an eager operation inside a callback.
final class RecursiveGate: @unchecked Sendable {
  private let lock = NSRecursiveLock()
  func enter() { lock.lock() }
  func leave() { lock.unlock() }
}
