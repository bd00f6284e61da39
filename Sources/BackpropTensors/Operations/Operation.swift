/// Everything a tensor can be computed by: a closed list of families, each in a file of its own with its cases, their
/// rules, their samples and their public methods.
///
/// Evaluation, the tape, the tracer, the compiler's passes and the tests only read ``rule``.
package enum Operation: Hashable, Sendable {
  case unary(UnaryOperation)
  case binary(BinaryOperation)
  case comparison(ComparisonOperation)
  case selection(SelectionOperation)
  case conversion(ConversionOperation)
  case reduction(ReductionOperation)
  case movement(MovementOperation)
  case contraction(ContractionOperation)
  case convolution(ConvolutionOperation)
  case pooling(PoolingOperation)
  case attention(AttentionOperation)
  case normalisation(NormalisationOperation)
  case layerNormalisation(LayerNormalisationOperation)
  case recurrent(RecurrentOperation)
  case indexing(IndexingOperation)
  case ordering(OrderingOperation)
  case cumulation(CumulativeOperation)
  case sampling(SamplingOperation)
  case custom(CustomOperation)
  /// Made by the compiler's fusion pass, never by a method.
  case fused(FusedOperation)
  /// Made by the compiler's pass over products and the block programs that read them.
  case continuedMatmul(ContinuedMatmul)
  /// Made by the compiler's pass over convolutions and the pooling of their results.
  case pooledConvolution(PooledConvolution)

  // Without a box for the family: this is asked at every step of eager code.
  package var rule: Rule {
    switch self {
    case .unary(let operation): operation.rule
    case .binary(let operation): operation.rule
    case .comparison(let operation): operation.rule
    case .selection(let operation): operation.rule
    case .conversion(let operation): operation.rule
    case .reduction(let operation): operation.rule
    case .movement(let operation): operation.rule
    case .contraction(let operation): operation.rule
    case .convolution(let operation): operation.rule
    case .pooling(let operation): operation.rule
    case .attention(let operation): operation.rule
    case .normalisation(let operation): operation.rule
    case .layerNormalisation(let operation): operation.rule
    case .recurrent(let operation): operation.rule
    case .indexing(let operation): operation.rule
    case .ordering(let operation): operation.rule
    case .cumulation(let operation): operation.rule
    case .sampling(let operation): operation.rule
    case .custom(let operation): operation.rule
    case .fused(let operation): operation.rule
    case .continuedMatmul(let operation): operation.rule
    case .pooledConvolution(let operation): operation.rule
    }
  }

  package var family: any OperationFamily {
    switch self {
    case .unary(let operation): operation
    case .binary(let operation): operation
    case .comparison(let operation): operation
    case .selection(let operation): operation
    case .conversion(let operation): operation
    case .reduction(let operation): operation
    case .movement(let operation): operation
    case .contraction(let operation): operation
    case .convolution(let operation): operation
    case .pooling(let operation): operation
    case .attention(let operation): operation
    case .normalisation(let operation): operation
    case .layerNormalisation(let operation): operation
    case .recurrent(let operation): operation
    case .indexing(let operation): operation
    case .ordering(let operation): operation
    case .cumulation(let operation): operation
    case .sampling(let operation): operation
    case .custom(let operation): operation
    case .fused(let operation): operation
    case .continuedMatmul(let operation): operation
    case .pooledConvolution(let operation): operation
    }
  }

  /// Every family whose cases have samples: the one table that tests them all walks over it.
  package static let families: [any SampledFamily.Type] = [
    UnaryOperation.self, BinaryOperation.self, ComparisonOperation.self, SelectionOperation.self,
    ConversionOperation.self, ReductionOperation.self, MovementOperation.self, ContractionOperation.self,
    ConvolutionOperation.self, PoolingOperation.self, AttentionOperation.self,
    NormalisationOperation.self, LayerNormalisationOperation.self, RecurrentOperation.self,
    IndexingOperation.self, OrderingOperation.self,
    CumulativeOperation.self,
    SamplingOperation.self,
  ]
}

/// A family of operations: a closed enum whose one exhaustive `switch` gives each case's whole rule.
package protocol OperationFamily: Hashable, Sendable {
  /// How the case is wrapped.
  var operation: Operation { get }
  var rule: Rule { get }
}

/// A family that the one table of tests walks over.
package protocol SampledFamily: OperationFamily {
  /// The cases without their parameters, so that they can be counted: the family itself when it has none.
  associatedtype Kind: CaseIterable & Hashable = Self
  var kind: Kind { get }
  /// Inputs to test every kind with: each must appear.
  static var samples: [Sample] { get }
}

extension SampledFamily where Kind == Self {
  package var kind: Self { self }
}

/// One application to test: an operation, its inputs' shapes and dtypes and the range its inputs are drawn from.
package struct Sample: Sendable, CustomStringConvertible {
  package var operation: Operation
  package var inputs: [Input]

  package struct Input: Sendable {
    package var type: TensorType
    package var domain: ClosedRange<Double>
    /// Fixed elements instead of random ones: indices, labels, random states.
    package var elements: [Double]?

    package init(
      _ shape: Shape, _ dtype: DType = .float64, in domain: ClosedRange<Double> = -3...3,
      elements: [Double]? = nil
    ) {
      type = TensorType(shape, dtype)
      self.domain = domain
      self.elements = elements
    }
  }

  package init(_ operation: Operation, _ inputs: [Input]) {
    self.operation = operation
    self.inputs = inputs
  }

  package var description: String {
    "\(operation.rule.name) of \(inputs.map { "\($0.type)" }.joined(separator: ", "))"
  }
}
