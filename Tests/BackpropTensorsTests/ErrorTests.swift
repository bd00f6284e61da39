import Testing

@testable import BackpropTensors

/// An operation on inputs that don't fit, and what its user reads.
struct WrongInputs: Sendable, CustomTestStringConvertible {
  var operation: Operation
  var types: [TensorType]
  var message: String

  init(_ operation: Operation, _ types: [(Shape, DType)], _ message: String) {
    self.operation = operation
    self.types = types.map { TensorType($0, $1) }
    self.message = message
  }

  var testDescription: String { message }

  static let elementwise: [WrongInputs] = [
    .init(
      .unary(.exp), [([2], .int32)],
      "exp: expected floating-point elements, got int32[2]; cast(to: .float32) first"),
    .init(
      .binary(.add), [([2, 3], .float32), ([4], .float32)],
      "add: shapes [2, 3] and [4] don't broadcast: aligned at the end, sizes must be equal or 1"),
    .init(
      .binary(.multiply), [([2], .float32), ([2], .int32)],
      "multiply: dtypes differ: float32[2] and int32[2]; cast(to:) one of them"),
    .init(
      .binary(.divide), [([2], .int32), ([2], .int32)], "divide: expected floating-point numbers, got int32"),
    .init(.comparison(.and), [([2], .float32), ([2], .float32)], "and: expected bool, got float32"),
    .init(
      .selection(.select), [([2], .int32), ([2], .float32), ([2], .float32)],
      "select: the condition must be bool, got int32[2]"),
  ]

  static let reductions: [WrongInputs] = [
    .init(
      .reduction(.init(.sum, axes: [0], keepDims: false)), [([2], .bool)],
      "sum: expected numbers, got bool[2]; cast(to: .int32) first"),
    .init(
      .reduction(.init(.maximum, axes: [1], keepDims: false)), [([2, 0], .float32)],
      "max: axis 1 of shape [2, 0] is empty, and nothing has no max"),
    .init(
      .reduction(.init(.sum, axes: [2], keepDims: false)), [([2, 3], .float32)],
      "sum: there is no axis 2 in a tensor of shape [2, 3]"),
    .init(
      .ordering(.argExtreme(axis: 0, smallest: false)), [([0], .float32)],
      "argMax: axis 0 of shape [0] has no elements"),
    .init(
      .ordering(.sort(axis: 0, descending: true, count: 4)), [([3], .float32)],
      "sort: axis 0 of shape [3] has no 4 elements"),
    .init(
      .cumulation(.sum(.init(axis: 1))), [([3], .float32)],
      "cumulativeSum: there is no axis 1 in a tensor of shape [3]"),
  ]

  static let products: [WrongInputs] = [
    .init(
      .contraction(.matmul(.init())), [([32, 784], .float32), ([512, 784], .float32)],
      "matmul: inner sizes differ: [32, 784] · [512, 784], 784 ≠ 512; try transposing the right operand"),
    .init(
      .contraction(.matmul(.init())), [([32, 784], .float32), ([512, 10], .float32)],
      "matmul: inner sizes differ: [32, 784] · [512, 10], 784 ≠ 512"),
    .init(
      .contraction(.matmul(.init())), [([2, 3, 4], .float32), ([5, 4, 2], .float32)],
      "matmul: leading axes of shapes [2, 3, 4] and [5, 4, 2] don't broadcast"),
    .init(
      .contraction(.matmul(.init())), [([3], .float32), ([3, 2], .float32)],
      "matmul: expected matrices, got shapes [3] and [3, 2]"),
    .init(
      .normalisation(.sparseCrossentropy), [([4, 10], .float32), ([5], .int32)],
      "sparseCrossentropy: expected logits of shape [rows, classes] and integer labels of shape [rows], got float32[4, 10] and int32[5]"
    ),
    .init(
      .normalisation(.softmax), [([], .float32)],
      "softmax: expected floating-point elements with at least one axis, got float32[]"),
  ]

  static let movements: [WrongInputs] = [
    .init(
      .movement(.reshape([2, 4])), [([2, 3], .float32)], "reshape: [2, 3] has 6 elements, [2, 4] has 8"),
    .init(
      .movement(.transpose([0, 0])), [([2, 3], .float32)],
      "transpose: [0, 0] is no order of the axes of shape [2, 3]"),
    .init(
      .movement(.broadcast([2, 3])), [([2], .float32)], "broadcast: shape [2] doesn't stretch to [2, 3]"),
    .init(
      .movement(.slice(starts: [1], sizes: [3], steps: [1])), [([3], .float32)],
      "slice: from 1 in steps of 1 to 3 leaves axis 0 of shape [3]"),
    .init(
      .movement(.concatenate(axis: 0)), [([2, 3], .float32), ([2, 4], .float32)],
      "concatenate: shapes [2, 3] and [2, 4] differ outside axis 0"),
    .init(
      .indexing(.gatherRows(affine: nil)), [([3], .float32), ([2], .float32)],
      "gather: expected int32 or int64 positions, got float32[2]"),
    .init(
      .indexing(.takeAlong(axis: 1)), [([2, 3], .float32), ([4, 1], .int32)],
      "takeAlongAxis: shapes [2, 3] and [4, 1] differ outside axis 1"),
    .init(
      .indexing(.replaceRows), [([3, 2], .float32), ([2, 3], .float32), ([2], .int32)],
      "replaceRows: rows of float32[3, 2] at positions of shape [2] can't be replaced by float32[2, 3]"),
    .init(
      .sampling(.uniform([2])), [([2], .int32)],
      "uniform: expected a state of int64[2] (seed, counter), got int32[2]"),
  ]
}

extension WrongInputs {
  static let windows: [WrongInputs] = [
    .init(
      .convolution(.forward(.init(axes: 2))), [([8, 28, 28], .float32), ([3, 3, 1, 4], .float32)],
      "convolution: expected images of [batch, 2 spatial axes, channels], got float32[8, 28, 28]"),
    .init(
      .convolution(.forward(.init(axes: 1))), [([8, 28, 3], .float32), ([3, 3, 1, 4], .float32)],
      "convolution: expected kernel of [1 spatial axes, channels, results], got float32[3, 3, 1, 4]"),
    .init(
      .convolution(.forward(.init(axes: 1))), [([8, 28, 3], .float32), ([3, 2, 4], .float32)],
      "convolution: images of [8, 28, 3] have 3 channels, the kernel [3, 2, 4] takes 2"),
    .init(
      .convolution(.forward(.init(strides: [1], groups: 2))),
      [([8, 28, 3], .float32), ([3, 2, 4], .float32)],
      "convolution: images of [8, 28, 3] have 3 channels, the kernel [3, 2, 4] takes 4 in 2 groups"),
    .init(
      .convolution(.forward(.init(strides: [1, 1], dilation: [2, 1], after: [0, 1]))),
      [([8, 4, 4, 1], .float32), ([3, 3, 1, 4], .float32)],
      "convolution: a kernel of [3, 3], dilated by 2, is larger than images of [4, 4]"),
    .init(
      .convolution(.forward(.init(strides: [1], before: [1]))),
      [([8, 2, 1], .float32), ([5, 1, 4], .float32)],
      "convolution: a kernel of [5] is larger than images of [2] with 1 of padding"),
    .init(
      .convolution(.forward(.init(axes: 1))), [([8, 28, 3], .int32), ([3, 3, 4], .int32)],
      "convolution: expected floating-point images, got int32[8, 28, 3]"),
    .init(
      .convolution(.images(.init(strides: [2]), input: [9])),
      [([8, 3, 4], .float32), ([3, 2, 4], .float32)],
      "transposed convolution: images of [9] come from [4], got [8, 3, 4]"),
    .init(
      .pooling(.average(.init([.sliding(size: 3, stride: 1, before: 0, after: 0)]))),
      [([4, 2, 1], .float32)],
      "averagePool: a window of 3 with stride 1 and padding 0 and 0 doesn't fit an axis of 2: [2]"),
    .init(
      .pooling(.max(.init(.init([.adaptive(count: 0)])))), [([4, 2, 1], .float32)],
      "maxPool: a share of 0 doesn't fit an axis of 2: [2]"),
    .init(
      .pooling(.max(.init(.init([.adaptive(count: 2)])))), [([4, 2], .float32)],
      "maxPool: expected floating-point elements of [batch, 1 spatial axes, channels], got float32[4, 2]"),
    .init(
      .pooling(.maxGradient(.init([.adaptive(count: 2)]), input: [4])),
      [([1, 2, 3], .float32), ([1, 2, 3], .int32)],
      "maxPoolGradient: expected positions of uint8[1, 2, 3], got int32[1, 2, 3]"),
  ]
}

extension WrongInputs {
  static let sequences: [WrongInputs] = [
    .init(
      .recurrent(.forward(.init(.lstm))),
      [([8, 28, 12], .float32), ([8, 4], .float32), ([8, 4], .float32), ([4, 16], .float32)],
      "lstm: expected projected inputs of shape [batch, time, 4 · 4], got float32[8, 28, 12]; multiply the inputs by the layer's kernel first"
    ),
    .init(
      .recurrent(.forward(.init(.gru(resetAfter: true)))),
      [([8, 5, 12], .float32), ([7, 4], .float32), ([4, 12], .float32)],
      "gru: expected initial states of float32[8, 4], got float32[7, 4]"),
    .init(
      .attention(.forward(.init(scale: 1))),
      [([2, 3, 4], .float32), ([2, 5, 4, 8], .float32), ([2, 5, 4, 8], .float32)],
      "attention: expected query, key and value of one floating-point dtype and of shape [batch, time, heads, dim], got float32[2, 3, 4], float32[2, 5, 4, 8] and float32[2, 5, 4, 8]"
    ),
    .init(
      .attention(.forward(.init(scale: 1))),
      [([2, 3, 4, 8], .float32), ([2, 5, 3, 8], .float32), ([2, 5, 3, 8], .float32)],
      "attention: the inputs don't fit: query [2, 3, 4, 8], key [2, 5, 3, 8], value [2, 5, 3, 8]; expected one batch size, query and key of one dim, key and value of one time of at least one step, and heads of the query that are a multiple of the others'"
    ),
    .init(
      .attention(.forward(.init(scale: 1, hasMask: true))),
      [
        ([2, 3, 4, 8], .float32), ([2, 5, 4, 8], .float32), ([2, 5, 4, 6], .float32), ([2, 1, 3, 4], .bool),
      ],
      "attention: expected a mask that stretches to bool[2, 4, 3, 5], got bool[2, 1, 3, 4]"),
    .init(
      .attention(.gradient(.init(scale: 1), ofLogarithms: false)),
      [
        ([2, 3, 4, 8], .float32), ([2, 5, 4, 8], .float32), ([2, 5, 4, 6], .float32),
        ([2, 3, 4, 6], .float32), ([2, 4, 3], .float32), ([2, 3, 4, 8], .float32),
      ],
      "attentionGradient: expected [float32[2, 3, 4, 6], float32[2, 4, 3], float32[2, 3, 4, 6]] after the inputs, got [float32[2, 3, 4, 6], float32[2, 4, 3], float32[2, 3, 4, 8]]"
    ),
    .init(
      .recurrent(.forward(.init(.simple))),
      [([8, 5, 4], .float32), ([8, 4], .float32), ([4, 5], .float32)],
      "simple recurrence: expected a recurrent kernel of shape [units, 1 · units], got float32[4, 5]"),
  ]
}

@Suite("What wrong inputs get")
struct ErrorTests {
  @Test(
    "the operation, what was expected, what came",
    arguments: WrongInputs.elementwise + WrongInputs.reductions + WrongInputs.products + WrongInputs.movements
      + WrongInputs.windows + WrongInputs.sequences
  )
  func message(_ wrong: WrongInputs) {
    #expect {
      _ = try wrong.operation.infer(wrong.types)
    } throws: { error in
      (error as? OperationError)?.description == wrong.message
    }
  }

  @Test(
    "subscripts",
    arguments: [
      ([3], [3], "subscript: 3 is outside axis 0 of shape [3]: expected -3...2"),
      ([3], [-4], "subscript: -4 is outside axis 0 of shape [3]: expected -3...2"),
      ([0], [0], "subscript: 0 is outside axis 0 of shape [0]: it is empty"),
      ([3], [0, 1], "subscript: 2 entries for the 1 axes of shape [3]"),
    ] as [(Shape, [Int], String)])
  func subscripts(_ shape: Shape, _ positions: [Int], _ message: String) {
    #expect {
      _ = try TensorSlice(positions.map(\.tensorIndex), of: shape)
    } throws: { error in
      (error as? OperationError)?.description == message
    }
  }

  @Test("ranges and strides outside, two ellipses")
  func ranges() {
    func message(_ indices: [TensorIndex]) -> String? {
      do {
        _ = try TensorSlice(indices, of: [3, 2])
        return nil
      } catch {
        return error.description
      }
    }
    #expect(
      message([(1..<5).tensorIndex]) == "subscript: 5 is outside axis 0 of shape [3, 2]: expected -3...3")
    #expect(message([.stride(by: 0)]) == "subscript: a stride of 0 never ends")
    #expect(
      message([.ellipsis, .ellipsis])
        == "subscript: an ellipsis can stand once, two leave open which axes each takes")
  }

  // In release builds too: the message must be there, with the caller's file and line.

  @Test("shapes that don't fit stop with the message and the caller's line")
  func matmulTraps() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Tensor.ones([2, 3]).matmul(Tensor.ones([4, 5]))
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(text.contains("matmul: inner sizes differ: [2, 3] · [4, 5], 3 ≠ 4"))
    #expect(text.contains("ErrorTests.swift:\(#line - 5)"))
  }

  @Test("a position outside stops eager code with its value and number")
  func gatherTraps() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Tensor.ones([3, 2]).gathered(Tensor([0, 2, 7, 9] as [Int32]))
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(text.contains("gather: position 7 (number 2) is outside 0..<3"))
    #expect(text.contains("ErrorTests.swift:\(#line - 5)"))
  }

  @Test("a subscript outside stops at the caller's line")
  func subscriptTraps() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Tensor.ones([3, 2])[0, 2]
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(text.contains("subscript: 2 is outside axis 1 of shape [3, 2]: expected -2...1"))
    #expect(text.contains("ErrorTests.swift:\(#line - 5)"))
  }

  @Test("reading a tensor that compiled records says why it can't be")
  func readingTraced() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = compiled { inputs in inputs[0].item() > 0 ? inputs : [] }([Tensor(1 as Float)])
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(text.contains("while `compiled` records it"))
  }

  @Test(
    "equations that einsum can't read",
    arguments: [
      ("ij,jk", "einsum: \"ij,jk\" is for 2 operands, got 1"),
      ("ijk", "einsum: \"ijk\" in \"ijk\" doesn't name the 2 axes of its operand"),
      ("i1->i", "einsum: \"i1->i\": expected letters, commas, ... and ->, got \"1\""),
      ("ij->ik", "einsum: \"ij->ik\": axis k of the result is in no operand"),
      ("ij->ii", "einsum: \"ij->ii\": an axis is twice in the result"),
      ("i...->i", "einsum: \"i...->i\": the result lacks the operands' ..."),
      ("ii", "einsum: \"ii\": axis i is no diagonal of shape [2, 3]"),
      ("ij->i->j", "einsum: \"ij->i->j\" has more than one ->"),
    ])
  func einsum(_ equation: String, _ message: String) {
    #expect(throws: OperationError(message)) { try EinsumEquation(equation, shapes: [[2, 3]]) }
  }
}
