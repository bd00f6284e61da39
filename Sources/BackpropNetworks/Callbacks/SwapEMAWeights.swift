import BackpropTensors

/// Lets the moving averages of the weights be evaluated and saved instead of the weights. Keras' `SwapEMAWeights`; the
/// optimizer must keep them (`useEMA: true`).
///
/// ```swift
/// try model.compile(optimizer: Adam(useEMA: true), loss: .meanSquaredError)
/// try model.fit(x, y, callbacks: [SwapEMAWeights(swapOnEpoch: true), ModelCheckpoint("average.keras")])
/// ```
public final class SwapEMAWeights: Callback, @unchecked Sendable {
  private let swapOnEpoch: Bool
  /// Whether the model holds the averages now.
  private var isSwapped = false

  /// - Parameter swapOnEpoch: swap at the end of each epoch already, for callbacks behind this one, and back where the
  ///   next begins.
  public init(swapOnEpoch: Bool = false) { self.swapOnEpoch = swapOnEpoch }

  public override var observesBatches: Bool { false }

  private func set(_ swapped: Bool) throws {
    guard swapped != isSwapped, let model else { return }
    guard let optimizer = model.optimizer, optimizer.options.useEMA else {
      throw ModelError(
        .argument, "SwapEMAWeights: the optimizer keeps no averages; make it with useEMA: true")
    }
    optimizer.exchangeAverages(with: model.trainableWeights)
    isSwapped = swapped
  }

  public override func onTrainBegin() throws { isSwapped = false }
  public override func onEpochBegin(_ epoch: Int) throws { try set(false) }
  public override func onEpochEnd(_ epoch: Int, _ logs: Logs) throws { if swapOnEpoch { try set(true) } }
  /// `fit` itself ends with the averages.
  public override func onTrainEnd(_ logs: Logs) throws { try set(false) }
  public override func onTestBegin() throws { try set(true) }
  public override func onTestEnd(_ logs: Logs) throws { try set(false) }
  public override func onPredictBegin() throws { try set(true) }
  public override func onPredictEnd() throws { try set(false) }

  public override func saveState() -> CallbackState { CallbackState(values: ["swapped": .bool(isSwapped)]) }
  public override func restoreState(_ state: CallbackState) {
    isSwapped = state.values["swapped"]?.bool ?? false
  }
}
