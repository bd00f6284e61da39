import BackpropTensors

/// A dense layer along the axes that an equation names.
///
/// ```swift
/// EinsumDense("abc,cd->abd", outputShape: [nil, 64], biasAxes: "d")      // a Dense along the last axis of three
/// EinsumDense("abc,cde->abde", outputShape: [nil, 8, 16], biasAxes: "de")      // eight heads of 16
/// EinsumDense("...x,xy->...y", outputShape: [32])
/// ```
///
/// The first operand is the input, the second the kernel. Keras' `EinsumDense`.
public final class EinsumDense: Layer, ConfigurableLayer, @unchecked Sendable {
  public struct Configuration: Codable, Hashable, Sendable {
    public var equation: String
    /// After the batch axis; nil: as the input.
    public var outputShape: OneOrMany<Int?>
    public var activation: ActivationFunction
    public var biasAxes: String?
    public var kernelInitializer: Initializer
    public var biasInitializer: Initializer
    public var kernelRegularizer: Regularizer?
    public var biasRegularizer: Regularizer?
    public var activityRegularizer: Regularizer?
    public var kernelConstraint: Constraint?
    public var biasConstraint: Constraint?
  }

  public let configuration: Configuration
  private var kernel: Weight!
  private var bias: Weight?
  private var inputShape: Shape!

  public required init(
    configuration: Configuration, name: String? = nil, trainable: Bool = true, dtype: DTypePolicy = .default
  ) {
    self.configuration = configuration
    super.init(name: name, trainable: trainable, dtype: dtype)
  }

  /// - Parameters:
  ///   - outputShape: the output's sizes after the batch axis, without those that `...` stands for; nil: as the input.
  ///   - biasAxes: the letters of the axes along which the bias differs; nil: no bias.
  public convenience init(
    _ equation: String, outputShape: [Int?], activation: ActivationFunction = .linear,
    biasAxes: String? = nil,
    kernelInitializer: Initializer = .glorotUniform, biasInitializer: Initializer = .zeros,
    kernelRegularizer: Regularizer? = nil, biasRegularizer: Regularizer? = nil,
    activityRegularizer: Regularizer? = nil, kernelConstraint: Constraint? = nil,
    biasConstraint: Constraint? = nil, name: String? = nil, trainable: Bool = true,
    dtype: DTypePolicy = .default
  ) {
    let configuration = Configuration(
      equation: equation, outputShape: OneOrMany(outputShape), activation: activation, biasAxes: biasAxes,
      kernelInitializer: kernelInitializer, biasInitializer: biasInitializer,
      kernelRegularizer: kernelRegularizer, biasRegularizer: biasRegularizer,
      activityRegularizer: activityRegularizer, kernelConstraint: kernelConstraint,
      biasConstraint: biasConstraint)
    self.init(configuration: configuration, name: name, trainable: trainable, dtype: dtype)
  }

  /// The equation's three terms, `...` taken off, and on which side of the letters it stood.
  private struct Terms {
    enum Rest { case none, left, right }
    var input: [Character]
    var kernel: [Character]
    var output: [Character]
    var rest: Rest
  }

  private func terms() throws -> Terms {
    let text = configuration.equation.filter { $0 != " " }
    func term(_ text: Substring) -> (letters: [Character], rest: Terms.Rest)? {
      var body = text
      var rest = Terms.Rest.none
      if body.hasPrefix("...") {
        body = body.dropFirst(3)
        rest = .left
      } else if body.hasSuffix("...") {
        body = body.dropLast(3)
        rest = .right
      }
      guard !body.isEmpty, body.allSatisfy({ $0.isLetter && $0.isASCII }), Set(body).count == body.count
      else {
        return nil
      }
      return (Array(body), rest)
    }
    let sides = text.split(separator: "->", omittingEmptySubsequences: false)
    let operands = sides.first?.split(separator: ",", omittingEmptySubsequences: false) ?? []
    guard sides.count == 2, operands.count == 2, let input = term(operands[0]),
      let kernel = term(operands[1]),
      let output = term(sides[1]), kernel.rest == .none, input.rest == output.rest
    else {
      throw ModelError(
        .argument, at: path,
        "expected an equation such as \"ab,bc->ac\", \"...a,ab->...b\" or \"ab...,bc->ac...\", got \"\(configuration.equation)\""
      )
    }
    return Terms(input: input.letters, kernel: kernel.letters, output: output.letters, rest: input.rest)
  }

  public override func build(_ input: Shape) throws {
    let c = configuration
    try c.activation.check(at: path)
    let terms = try terms()
    let elided = input.rank - terms.input.count
    guard terms.rest == .none ? elided == 0 : elided >= 0, input.rank >= 2 else {
      throw ModelError(
        .shape, at: path, "\"\(c.equation)\" doesn't name the axes of an input of shape \(input)")
    }
    // Sizes by letter: of the input, then of the output.
    let skip = terms.rest == .left ? elided : 0
    var sizes: [Character: Int] = [:]
    for (position, letter) in terms.input.enumerated() { sizes[letter] = input[position + skip] }
    let given = c.outputShape.values
    // Where `...` is on the left the batch axis is one of its own, where it stands for anything.
    let named = terms.rest == .left && elided > 0 ? terms.output : Array(terms.output.dropFirst())
    guard given.count == named.count else {
      throw ModelError(
        .argument, at: path,
        "expected an output shape of \(named.count) sizes for \"\(c.equation)\", got \(given.count)")
    }
    for (letter, size) in zip(named, given) {
      guard let size else { continue }
      guard size > 0 else { throw ModelError(.argument, at: path, "sizes must be positive, got \(size)") }
      if let known = sizes[letter], known != size {
        throw ModelError(
          .shape, at: path,
          "axis \(letter) of \"\(c.equation)\" has \(known) elements in an input of shape \(input), and \(size) in the output shape"
        )
      }
      sizes[letter] = size
    }
    func size(_ letter: Character) throws -> Int {
      if let size = sizes[letter] { return size }
      throw ModelError(
        .argument, at: path, "the size of axis \(letter) of \"\(c.equation)\" follows from nothing")
    }
    for letter in terms.output where !terms.input.contains(letter) && !terms.kernel.contains(letter) {
      throw ModelError(
        .argument, at: path, "axis \(letter) of the output of \"\(c.equation)\" is in neither operand")
    }
    kernel = addWeight(
      "kernel", shape: Shape(try terms.kernel.map(size)), initializer: c.kernelInitializer,
      regularizer: c.kernelRegularizer, constraint: c.kernelConstraint)
    inputShape = input
    guard let axes = c.biasAxes else { return }
    guard let first = terms.output.firstIndex(where: { axes.contains($0) }),
      axes.allSatisfy({ terms.output.contains($0) })
    else {
      throw ModelError(
        .argument, at: path, "the bias axes \"\(axes)\" aren't all in the output of \"\(c.equation)\"")
    }
    var shape = try terms.output[first...].map { axes.contains($0) ? try size($0) : 1 }
    if terms.rest == .right { shape += Array(repeating: 1, count: elided) }
    bias = addWeight(
      "bias", shape: Shape(shape), initializer: c.biasInitializer, regularizer: c.biasRegularizer,
      constraint: c.biasConstraint)
  }

  public override func check(_ inputs: [Shape]) throws {
    guard inputs.count == 1, inputs[0].rank == inputShape.rank else {
      throw ModelError(
        .shape, at: path,
        "expected an input of \(inputShape.rank) axes, got \(inputs.map(\.description).joined(separator: " and "))"
      )
    }
    let terms = try terms()
    let skip = terms.rest == .left ? inputs[0].rank - terms.input.count : 0
    let kernelSizes = Dictionary(uniqueKeysWithValues: zip(terms.kernel, kernel.shape.dimensions))
    let biasSizes = self.biasSizes(terms)
    for (position, letter) in terms.input.enumerated() {
      guard let size = kernelSizes[letter] ?? biasSizes[letter], size != inputs[0][position + skip]
      else { continue }
      throw ModelError(
        .shape, at: path,
        "expected \(size) elements along axis \(letter) of \"\(configuration.equation)\", got \(inputs[0])"
      )
    }
  }

  /// How long the bias is along those of its axes that aren't stretched.
  private func biasSizes(_ terms: Terms) -> [Character: Int] {
    guard let bias, let axes = configuration.biasAxes else { return [:] }
    let sizes = zip(terms.output.drop { !axes.contains($0) }, bias.shape.dimensions)
    return Dictionary(uniqueKeysWithValues: sizes.filter { axes.contains($0.0) })
  }

  public override func call(_ input: Tensor, _ context: CallContext) -> Tensor {
    var result = Tensor.einsum(configuration.equation, input, kernel.value)
    if let bias { result = result + bias.value }
    result = configuration.activation(result)
    if let regularizer = configuration.activityRegularizer {
      context.addLoss(regularizer(result) / Double(max(result.shape[0], 1)))
    }
    return result
  }
}
