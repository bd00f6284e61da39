/// The number that a callback watches, and which way it gets better.
package struct Monitor: Sendable {
  package let name: String
  /// Whether larger is better.
  package let wantsLarger: Bool
  private let minDelta: Double

  /// - Parameter mode: `auto` takes accuracies, areas, precisions and the like for the larger, all else for the smaller.
  package init(_ name: String, mode: EarlyStopping.Mode, minDelta: Double = 0) {
    self.name = name
    self.minDelta = abs(minDelta)
    wantsLarger = mode == .max || (mode == .auto && Self.grows(name))
  }

  private static func grows(_ name: String) -> Bool {
    ["accuracy", "acc", "auc", "precision", "recall", "score", "iou"].contains { name.hasSuffix($0) }
  }

  package func isBetter(_ value: Double, than other: Double) -> Bool {
    wantsLarger ? value - minDelta > other : value + minDelta < other
  }

  /// - Throws: ``ModelError`` naming what there is instead.
  package func value(in logs: Logs, for callback: String) throws -> Double {
    if let value = logs[name] { return value }
    let hint = name.hasPrefix("val_") ? "; fit with validationData or validationSplit" : ""
    let names = logs.names.joined(separator: ", ")
    throw ModelError(.argument, "\(callback): there is no '\(name)' among \(names)\(hint)")
  }
}
