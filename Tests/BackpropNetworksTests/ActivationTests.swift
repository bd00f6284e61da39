import Backprop
import Testing

@testable import BackpropNetworks

@Suite("Activations") struct ActivationTests {
  static let golden = Golden("activations")

  @Test("Keras' values and gradients", arguments: golden.cases)
  func kerasValues(_ golden: GoldenCase) throws {
    let arguments = golden.config("arguments").compactMapValues { value -> Double? in
      if case .bool(let flag) = value { return flag ? 1 : 0 }
      return value.double
    }
    let activation = try ActivationFunction(named: golden.text("activation"), arguments: arguments)
    let input = golden.tensor("input")
    let (value, gradient) = valueAndGradient(at: input) {
      (activation($0) * golden.tensor("cotangent")).sum()
    }
    #expect(value.rank == 0)
    expectClose(activation(input), golden.tensor("output"), atol: 1e-6, rtol: 1e-6, "value")
    expectClose(gradient, golden.tensor("gradient"), atol: 1e-5, rtol: 1e-5, "gradient")
  }

  @Test("every one of the 32 has values from Keras")
  func allAreCovered() {
    #expect(Set(ActivationFunction.names) == Set(Self.golden.cases.map { $0.text("activation") }))
    #expect(ActivationFunction.names.count == 32)
  }

  @Test("an unknown name is answered with the nearest")
  func unknownName() {
    #expect(
      message { _ = try ActivationFunction(named: "rellu") }
        == "unknown activation 'rellu'; did you mean 'relu'?")
    let layer = Dense(3, activation: "sofmax", name: "out")
    #expect(
      message { try layer.prepare([[2, 4]]) } == "out: unknown activation 'sofmax'; did you mean 'softmax'?")
  }
}
