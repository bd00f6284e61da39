import Backprop
import BackpropTensors
import Testing

@testable import BackpropNetworks

@Suite("Optimizers") struct OptimizerTests {
  static let fixtures = [Golden("optimizers"), Golden("further_optimizers")]
  static let cases = fixtures.flatMap { fixture in
    fixture.cases.map { Case(golden: $0, start: fixture.facts["start"] as! [[String: Any]]) }
  }

  /// What is done, and the weights that it begins with.
  struct Case: @unchecked Sendable, CustomTestStringConvertible {
    let golden: GoldenCase
    let start: [[String: Any]]
    var testDescription: String { golden.testDescription }
  }

  private static func gradient(_ variable: Int, _ step: Int, _ shape: Shape) -> Tensor {
    let scale: Float = step % 10 == 9 ? 10 : 1
    return Tensor(
      (0..<shape.elementCount).map { i -> Float in
        let k = (step * 131 + variable * 71 + i * 29) % 97
        return Float(k - 48) / 16 * scale
      }, shape: shape)
  }

  @Test("each is made without arguments, as its name says")
  func defaults() throws {
    let made: [Optimizer] = [
      SGD(), Adam(), AdamW(), Adamax(), Nadam(), RMSprop(), Adagrad(), Adadelta(), Adafactor(), Ftrl(),
      Lamb(),
      Lion(), Muon(), ScheduleFreeAdamW(),
    ]
    #expect(made.map(\.className) == Optimizer.all.map { String(describing: $0) })
    for optimizer in made {
      let named = try Optimizer.named(optimizer.className)
      #expect(named.learningRate == optimizer.learningRate, "\(optimizer.className)")
    }
  }

  @Test("50 steps as Keras takes them", arguments: cases, [false, true])
  func kerasSteps(_ one: Case, _ isCompiled: Bool) throws {
    let golden = one.golden
    var config = golden.config("config")
    if golden.has("exclude_from_weight_decay") {
      config["exclude_from_weight_decay"] = configValue(golden.values["exclude_from_weight_decay"]!)
    }
    let optimizer = try Optimizer.named(golden.text("optimizer"), config: config)
    let weights = one.start.map { entry in
      let name = entry["name"] as! String
      return Weight(goldenTensor(entry["value"]!), name: name, path: name, initializer: .zeros)
    }
    optimizer.build(weights)
    let step = compiled { gradients in
      optimizer.apply(gradients, to: weights)
      return []
    }
    for number in 0..<50 {
      let gradients = weights.enumerated().map { Self.gradient($0, number, $1.shape) }
      if isCompiled { _ = step(gradients) } else { optimizer.apply(gradients, to: weights) }
      if let after = (golden.values["after"] as! [String: Any])["\(number + 1)"] {
        for (weight, expected) in zip(weights, (after as! [Any]).map(goldenTensor)) {
          expectClose(
            weight.value, expected, atol: 1e-6, rtol: 1e-5, "\(weight.name) after step \(number + 1)")
        }
      }
    }
    let state = (golden.values["state"] as! [[String: Any]]).map { goldenTensor($0["value"]!) }
    #expect(optimizer.variables.count == state.count)
    for (variable, expected) in zip(optimizer.variables, state) {
      expectClose(
        variable.stored.cast(to: .float32), expected.cast(to: .float32), atol: 1e-6, rtol: 1e-5, variable.name
      )
    }
    if golden.has("finalized") {
      optimizer.finalize(weights)
      for (weight, expected) in zip(weights, golden.tensors("finalized")) {
        expectClose(weight.value, expected, atol: 1e-6, rtol: 1e-5, "\(weight.name) finalized")
      }
    }
  }

  @Test("a schedule stands where a number could")
  func schedules() {
    let adam = Adam(
      learningRate: .cosineDecay(0.001, decaySteps: 10_000, warmupTarget: 0.01, warmupSteps: 500))
    #expect(
      adam.schedule
        == LearningRateSchedule.cosineDecay(0.001, decaySteps: 10_000, warmupTarget: 0.01, warmupSteps: 500))
    #expect(
      abs(SGD(learningRate: .noam(modelSize: 64)).learningRate - 0.125 * 4000.0.squareRoot() / 16_000_000)
        < 1e-9)
  }

  @Test("an unknown name is answered with the nearest")
  func unknownName() {
    #expect(message { _ = try Optimizer.named("adamm") } == "unknown optimizer 'adamm'; did you mean 'adam'?")
  }

  @Test("the learning rate can be set between steps and is read by compiled ones")
  func learningRate() {
    let optimizer = SGD(learningRate: 0.5)
    let weight = Weight(Tensor([1] as [Float]), name: "w", path: "w", initializer: .zeros)
    let step = compiled { gradients in
      optimizer.apply(gradients, to: [weight])
      return []
    }
    let gradient = [Tensor([1] as [Float])]
    _ = step(gradient)
    #expect(weight.value.floats == [0.5])
    optimizer.learningRate = 0.25
    _ = step(gradient)
    #expect(weight.value.floats == [0.25])
    #expect(optimizer.iterations == 2)
  }
}
