/// An array of numbers of any rank: a value that never changes.
///
/// ```swift
/// let x = Tensor([[1, 2], [3, 4]] as [[Float]])
/// let y = (x * 2 + 1).sum(axes: [0])     // [10, 14]
/// ```
///
/// Elements are row-major and contiguous; the dtype is a value, not a type parameter. Copying a tensor copies a
/// reference. Every operation is a method that gives a new tensor: computed at once, noted on a tape when a gradient is
/// wanted (``valueAndGradient(at:of:)``), or recorded into a graph inside ``compiled(_:)``.
public struct Tensor: Sendable {
  public let shape: Shape
  public let dtype: DType
  package let source: Source
  /// What a softmax, sigmoid or relu made this tensor from: a cross-entropy works on it instead, and so does max
  /// pooling.
  package var logits: Logits?
  private var maskBox: MaskBox?

  /// bool [batch, steps]: which steps of a sequence count. Layers attach it to what they give and read it from what they
  /// get, as Keras does; every other operation drops it. nil: all count.
  public var mask: Tensor? {
    get { maskBox?.mask }
    set { maskBox = newValue.map(MaskBox.init) }
  }

  private final class MaskBox: Sendable {
    let mask: Tensor
    init(_ mask: Tensor) { self.mask = mask }
  }

  /// Where a tensor's elements are.
  package enum Source: Sendable {
    /// In memory.
    case stored(Storage)
    /// In a graph being recorded: no elements yet.
    case traced(TracedValue)
    /// In another tensor, whose every use is noted on a tape.
    case recorded(RecordedValue)
  }

  package init(shape: Shape, dtype: DType, source: Source) {
    self.shape = shape
    self.dtype = dtype
    self.source = source
  }

  package init(_ storage: Storage, shape: Shape, dtype: DType) {
    self.init(shape: shape, dtype: dtype, source: .stored(storage))
  }

  public var rank: Int { shape.rank }
  /// The number of elements.
  public var count: Int { shape.elementCount }
  public var type: TensorType { TensorType(shape, dtype) }

  /// Whether this tensor stands for a value of a graph that is being recorded and so has no elements to read.
  public var isTraced: Bool {
    switch source {
    case .stored: false
    case .traced: true
    case .recorded(let value): value.primal.isTraced
    }
  }

  /// What an activation's result was made from; see ``logits``.
  package final class Logits: Sendable {
    package enum Kind: Hashable, Sendable { case sigmoid, softmax(axis: Int), relu }

    package let kind: Kind
    package let tensor: Tensor

    package init(_ tensor: Tensor, kind: Kind) {
      self.kind = kind
      self.tensor = tensor
    }
  }

  func remembering(_ logits: Tensor, as kind: Logits.Kind) -> Tensor {
    var copy = self
    copy.logits = Logits(logits, kind: kind)
    return copy
  }

  /// The memory behind the elements. Stops the program inside `compiled`, where there are none.
  package func storage(
    for purpose: String = "read its elements", file: StaticString = #fileID, line: UInt = #line
  ) -> Storage {
    switch source {
    case .stored(let storage): return storage
    case .recorded(let value): return value.primal.storage(for: purpose, file: file, line: line)
    case .traced:
      programmerError(
        """
        can't \(purpose) of a tensor of shape \(shape) while `compiled` records it: its elements exist only when the \
        compiled program runs; return it from the closure and read it there, or leave the closure uncompiled
        """, file: file, line: line)
    }
  }
}
