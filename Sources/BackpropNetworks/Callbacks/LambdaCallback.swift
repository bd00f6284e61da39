/// A callback made of closures.
///
/// ```swift
/// try model.fit(x, y, callbacks: [LambdaCallback(onEpochEnd: { epoch, logs in print(epoch, logs["loss"]!) })])
/// ```
public final class LambdaCallback: Callback, @unchecked Sendable {
  private let trainBegin: (() throws -> Void)?
  private let trainEnd: ((Logs) throws -> Void)?
  private let epochBegin: ((Int) throws -> Void)?
  private let epochEnd: ((Int, Logs) throws -> Void)?
  private let batchBegin: ((Int) throws -> Void)?
  private let batchEnd: ((Int, () -> Logs) throws -> Void)?

  public init(
    onTrainBegin: (() throws -> Void)? = nil, onTrainEnd: ((Logs) throws -> Void)? = nil,
    onEpochBegin: ((Int) throws -> Void)? = nil, onEpochEnd: ((Int, Logs) throws -> Void)? = nil,
    onTrainBatchBegin: ((Int) throws -> Void)? = nil,
    onTrainBatchEnd: ((Int, () -> Logs) throws -> Void)? = nil
  ) {
    trainBegin = onTrainBegin
    trainEnd = onTrainEnd
    epochBegin = onEpochBegin
    epochEnd = onEpochEnd
    batchBegin = onTrainBatchBegin
    batchEnd = onTrainBatchEnd
  }

  public override var observesBatches: Bool { batchBegin != nil || batchEnd != nil }
  public override func onTrainBegin() throws { try trainBegin?() }
  public override func onTrainEnd(_ logs: Logs) throws { try trainEnd?(logs) }
  public override func onEpochBegin(_ epoch: Int) throws { try epochBegin?(epoch) }
  public override func onEpochEnd(_ epoch: Int, _ logs: Logs) throws { try epochEnd?(epoch, logs) }
  public override func onTrainBatchBegin(_ batch: Int) throws { try batchBegin?(batch) }
  public override func onTrainBatchEnd(_ batch: Int, _ logs: () -> Logs) throws { try batchEnd?(batch, logs) }
}
