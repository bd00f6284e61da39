import Backprop
import BackpropTensors
import Foundation
import Testing

@testable import BackpropNetworks

@Suite("Initialisers, penalties, constraints and schedules as Keras has them") struct KerasFormTests {
  static let regularizers = Golden("regularizers").cases
  static let constraints = Golden("constraints").cases
  static let schedules = [Golden("schedules"), Golden("further_schedules")]
  static let scheduleCases = schedules.flatMap { golden in
    golden.cases.map { Schedule(golden: $0, steps: golden.tensor("steps")) }
  }

  struct Schedule: Sendable, CustomTestStringConvertible {
    let golden: GoldenCase
    let steps: Tensor
    var testDescription: String { golden.testDescription }
  }
  static let initializers = Golden("initializers").cases

  @Test("regularisers", arguments: regularizers)
  func regularizer(_ golden: GoldenCase) {
    let regularizer = Regularizer(className: golden.text("regularizer"), config: golden.config("config"))
    let input = golden.tensor("input")
    let (value, gradient) = valueAndGradient(at: input) { regularizer($0) }
    expectClose(value, golden.tensor("value"), atol: 1e-6, rtol: 1e-6, "value")
    expectClose(gradient, golden.tensor("gradient"), atol: 1e-5, rtol: 1e-5, "gradient")
  }

  @Test("constraints", arguments: constraints)
  func constraint(_ golden: GoldenCase) {
    let constraint = Constraint(className: golden.text("constraint"), config: golden.config("config"))
    expectClose(constraint(golden.tensor("input")), golden.tensor("output"), atol: 1e-6, rtol: 1e-6)
  }

  @Test("schedules", arguments: scheduleCases)
  func schedule(_ one: Schedule) throws {
    let (golden, steps) = (one.golden, one.steps.integers)
    let schedule = LearningRateSchedule(className: golden.text("schedule"), config: golden.config("config"))
    try schedule.checkArguments()
    let values = Tensor.concatenate(steps.map { schedule(Tensor($0)).reshaped(to: [1]) })
    expectClose(values, golden.tensor("values"), atol: 1e-9, rtol: 2e-5)
  }

  @Test("initialisers: distribution, fans, structure", arguments: initializers)
  func initializer(_ golden: GoldenCase) {
    var config = golden.config("config")
    if golden.text("initializer") == "Identity" {
      // Keras leaves the gain out of this configuration.
      config["gain"] = .number(golden.tensor("values").doubles[0])
    }
    let initializer = Initializer(className: golden.text("initializer"), config: config)
    let shape = Shape((golden.values["shape"] as! [NSNumber]).map(\.intValue))
    let value = initializer(shape, random: RandomGenerator(seed: 11))
    #expect(value.shape == shape)
    if golden.has("values") {
      // Keras computes STFT's angles in float32, here they are exact.
      expectClose(value, golden.tensor("values"), atol: 2e-6)
    } else if golden.has("gram") {
      let sizes = (golden.values["flattened"] as! [NSNumber]).map(\.intValue)
      let matrix = value.reshaped(to: Shape(sizes))
      let isRows = golden.text("gram") == "rows"
      let gram =
        isRows ? matrix.matmul(matrix, transposeOther: true) : matrix.matmul(matrix, transposeSelf: true)
      let diagonal = (golden.values["gram_diagonal"] as! NSNumber).doubleValue
      expectClose(gram, Tensor.eye(gram.shape[0]) * diagonal, atol: 1e-4)
    } else {
      checkDistribution(value, golden)
    }
    if golden.has("fan_in") {
      #expect(fans(of: shape).in == (golden.values["fan_in"] as! NSNumber).doubleValue)
      #expect(fans(of: shape).out == (golden.values["fan_out"] as! NSNumber).doubleValue)
    }
  }

  /// Mean and deviation within five standard errors of what they must be, bounds kept.
  private func checkDistribution(_ value: Tensor, _ golden: GoldenCase) {
    let expected = golden.values["expected"] as! [String: Any]
    func number(_ name: String) -> Double? { (expected[name] as? NSNumber)?.doubleValue }
    let (mean, deviation) = (number("mean")!, number("std")!)
    let count = Double(value.count)
    let values = value.cast(to: .float64)
    #expect(abs(values.mean().item() - mean) < 5 * deviation / count.squareRoot() + 1e-9)
    #expect(
      abs(values.standardDeviation().item() - deviation) < 5 * deviation / (2 * count).squareRoot() + 1e-9)
    let slack = 1e-6 * max(1, abs(mean) + deviation)
    if let low = number("min") { #expect(values.min().item() >= low - slack) }
    if let high = number("max") { #expect(values.max().item() <= high + slack) }
  }

  @Test("every kind has goldens")
  func coverage() {
    func names(_ cases: [GoldenCase], _ key: String) -> Set<String> { Set(cases.map { $0.text(key) }) }
    #expect(names(Self.regularizers, "regularizer") == Set(Regularizer.Kind.allCases.map(\.rawValue)))
    #expect(names(Self.constraints, "constraint") == Set(Constraint.Kind.allCases.map(\.rawValue)))
    #expect(
      names(Self.scheduleCases.map(\.golden), "schedule")
        == Set(LearningRateSchedule.Kind.allCases.map(\.rawValue)))
    #expect(names(Self.initializers, "initializer") == Set(Initializer.Kind.allCases.map(\.rawValue)))
    #expect(Initializer.Kind.allCases.count == 16)
    let optimizers = Golden("optimizers").cases + Golden("further_optimizers").cases
    #expect(
      names(optimizers, "optimizer") == Set(Optimizer.all.map { String(describing: $0) }))
  }
}
