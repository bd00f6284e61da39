/// What one training step takes: inputs, labels and perhaps a weight for each sample, all with the same number of rows.
public struct Batch: Sendable {
  /// One tensor for each of the model's inputs.
  public var inputs: [Tensor]
  /// One tensor for each of the model's outputs; empty for `predict`.
  public var labels: [Tensor]
  /// [rows]: how much each sample counts.
  public var sampleWeights: Tensor?

  /// Of a model with several inputs or outputs.
  public init(inputs: [Tensor], labels: [Tensor], sampleWeights: Tensor? = nil) {
    self.inputs = inputs
    self.labels = labels
    self.sampleWeights = sampleWeights
  }

  public init(_ inputs: Tensor, _ labels: Tensor, sampleWeights: Tensor? = nil) {
    self.init(inputs: [inputs], labels: [labels], sampleWeights: sampleWeights)
  }

  /// The number of samples; 0 where there is no input.
  public var count: Int { inputs.first?.shape.dimensions.first ?? 0 }
}
