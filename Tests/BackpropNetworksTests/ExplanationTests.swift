import Backprop
import Testing

@testable import BackpropNetworks

@Suite("One step of backpropagation, explained") struct ExplanationTests {
  /// The network of a well-known worked example: https://mattmazur.com/2015/03/17/a-step-by-step-backpropagation-example/.
  static func textbook() throws -> Sequential {
    let model = Sequential {
      Input([2])
      Dense(2, activation: .sigmoid, name: "hidden")
      Dense(2, activation: .sigmoid, name: "output")
    }
    try model.setWeights([
      Tensor([[0.15, 0.25], [0.2, 0.3]] as [[Float]]), Tensor([0.35, 0.35] as [Float]),
      Tensor([[0.4, 0.5], [0.45, 0.55]] as [[Float]]), Tensor([0.6, 0.6] as [Float]),
    ])
    try model.compile(optimizer: SGD(), loss: .meanSquaredError)
    return model
  }

  static func close(_ a: [Double], _ b: [Double], _ tolerance: Double = 2e-6) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= tolerance }
  }

  @Test("a textbook's numbers")
  func textbookNumbers() throws {
    let model = try Self.textbook()
    let weights = model.getWeights()
    let step = try model.explain(
      Tensor([0.05, 0.1] as [Float]), label: Tensor([0.01, 0.99] as [Float]), learningRate: 0.5)
    #expect(Self.close(step.layers[0].weightedInput, [0.3775, 0.3925]))
    #expect(Self.close(step.layers[0].output, [0.593269992, 0.596884378]))
    #expect(Self.close(step.layers[1].output, [0.751365070, 0.772928465]))
    #expect(Self.close([step.loss], [0.298371109]))
    // δ of the output as the example has it, and the weights that it ends with.
    #expect(Self.close(step.layers[1].delta, [0.138498562, -0.038098236]))
    #expect(
      Self.close(step.layers[1].newKernel.flatMap { $0 }, [0.35891648, 0.51130127, 0.408666186, 0.561370121]))
    #expect(
      Self.close(step.layers[0].newKernel.flatMap { $0 }, [0.149780716, 0.24975114, 0.19956143, 0.29950229]))
    #expect(step.newLoss < step.loss)
    #expect(zip(weights, model.getWeights()).allSatisfy { $0.floats == $1.floats })
  }

  @Test(
    "the rules in words are those of the numbers",
    arguments: [
      ("softmax", Loss.sparseCategoricalCrossentropy), ("sigmoid", .binaryCrossentropy),
      ("linear", .meanSquaredError),
      ("sigmoid", .meanSquaredError), ("tanh", .meanSquaredError),
    ])
  func rules(_ activation: String, _ loss: Loss) throws {
    for hidden in ["sigmoid", "tanh", "relu"] {
      let model = Sequential(seed: 3) {
        Dense(4, activation: ActivationFunction(stringLiteral: hidden))
        Dense(3, activation: ActivationFunction(stringLiteral: activation))
      }
      try model.build(sampleShape: [5])
      try model.compile(optimizer: SGD(), loss: loss)
      let isClass = loss.name == "sparse_categorical_crossentropy"
      let label = isClass ? Tensor(1 as Int32) : Tensor([0, 1, 0] as [Float])
      let target: [Double] = [0, 1, 0]
      let step = try model.explain(Tensor([1, -2, 0.5, 0.25, -1] as [Float]), label: label)
      let (first, last) = (step.layers[0], step.layers[1])
      let slope: (Double) -> Double = { a in
        switch activation {
        case "sigmoid" where loss.name == "mean_squared_error": a * (1 - a)
        case "tanh": 1 - a * a
        default: 1
        }
      }
      let factor = isClass ? 1 : loss.name == "binary_crossentropy" ? 1.0 / 3 : 2.0 / 3
      let expected = zip(last.output, target).map { factor * ($0 - $1) * slope($0) }
      #expect(Self.close(last.delta, expected, 1e-5), "\(last.rule): \(last.delta) \(expected)")
      #expect(!last.rule.contains("∂loss/∂a"))
      let back = last.kernel.map { row in zip(row, last.delta).reduce(0) { $0 + $1.0 * $1.1 } }
      let slopes = zip(first.output, first.weightedInput).map { a, z in
        hidden == "sigmoid" ? a * (1 - a) : hidden == "tanh" ? 1 - a * a : z > 0 ? 1 : 0
      }
      #expect(Self.close(first.delta, zip(back, slopes).map { $0 * $1 }, 1e-5), "\(first.rule)")
    }
  }

  @Test("text and page hold the numbers, and the page needs nothing else")
  func pages() throws {
    let step = try Self.textbook().explain(
      Tensor([0.05, 0.1] as [Float]), label: Tensor([0.01, 0.99] as [Float]), learningRate: 0.5)
    for page in [step.text, step.html] {
      for number in ["0.3775", "0.59327", "0.75137", "0.29837", "0.1385", "0.35892", "0.14978"] {
        #expect(page.contains(number), "\(number)")
      }
    }
    #expect(!step.html.contains("http") && !step.html.contains("<script"))
    #expect(step.html.contains("<svg"))
  }

  @Test("what can't be explained is refused")
  func refused() throws {
    let model = Sequential {
      Input([2])
      PReLU()
      Dense(1)
    }
    #expect(throws: ModelError.self) { try model.explain(Tensor.ones([2]), label: Tensor.ones([1])) }
    try model.compile(optimizer: SGD(), loss: .meanSquaredError)
    do { _ = try model.explain(Tensor.ones([2]), label: Tensor.ones([1])) } catch {
      #expect(
        "\(error)"
          == "sequential/p_re_lu: explain shows dense layers and activations behind them; a PReLU can't be shown here"
      )
    }
    #expect(throws: ModelError.self) {
      try Self.textbook().explain(Tensor.ones([3]), label: Tensor.ones([2]))
    }
  }
}
