/// What one training step did to each layer.
public struct GradientSample: Sendable {
  /// A layer with weights that were trained.
  public struct Layer: Sendable, Hashable {
    /// `sequential/dense`
    public var path: String
    /// `dense`
    public var name: String
    /// The length of the gradient of all its weights together.
    public var gradientNorm: Double
    public var weightNorm: Double
    /// The length of the step that the weights took, over theirs: 0.001 is about what learns well.
    public var updateRatio: Double
    /// The trained elements.
    public var count: Int

    /// The root mean square of the gradient's elements, by which layers of different sizes compare.
    public var gradientRMS: Double { gradientNorm / Double(max(count, 1)).squareRoot() }
  }

  /// The output of a layer that ends in an activation, but for the model's own output.
  public struct Activation: Sendable, Hashable {
    public var path: String
    public var name: String
    /// `relu`
    public var activation: String
    /// The share of units that gave zero for every sample of the batch; nil for activations that don't do that.
    public var deadFraction: Double?
    /// The share of outputs so near a limit of the activation that its slope is below a twentieth of the steepest; nil for
    /// activations without limits.
    public var saturatedFraction: Double?
  }

  /// The number of the step, from 1.
  public var step: Int
  public var loss: Double
  /// In forward order.
  public var layers: [Layer]
  public var activations: [Activation]
}
