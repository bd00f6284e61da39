/// Ends training where the loss is no longer a number, and keeps what was found of it. Keras' `TerminateOnNaN`.
///
/// Without it `fit` throws the ``TrainingError``. Either way the update of that step isn't made, and the step is replayed
/// to find where it began. With it, a gradient that isn't finite ends the step, too, before it reaches the weights; that
/// takes another pass over the gradients.
///
/// ```swift
/// let guardian = TerminateOnNaN()
/// try model.fit(x, y, callbacks: [guardian])
/// if let error = guardian.error { print(error) }
/// ```
public final class TerminateOnNaN: Callback, @unchecked Sendable {
  /// What ended training; nil when nothing did.
  public internal(set) var error: TrainingError?

  public override init() { super.init() }
  public override var observesBatches: Bool { false }
  public override func onTrainBegin() { error = nil }
}
