import Testing

@testable import BackpropTensors

@Suite("Every operation, every sample")
struct OperationTableTests {
  @Test("every kind of every family has a sample")
  func everyKindIsSampled() {
    func check<Family: SampledFamily>(_: Family.Type) {
      let sampled = Set(Family.samples.compactMap { ($0.operation.family as? Family)?.kind })
      let missing = Set(Family.Kind.allCases).subtracting(sampled)
      #expect(missing.isEmpty, "\(Family.self) has no sample of \(missing)")
    }
    for family in Operation.families { check(family) }
    #expect(allSamples.count > 400)
  }

  @Test("inputs fit, and results have the type that the rule infers", arguments: allSamples)
  func inference(_ sample: Sample) throws {
    let inputs = sample.tensors()
    let types = try sample.operation.infer(inputs.map(\.type))
    #expect(apply(sample.operation, inputs).map(\.type) == types)
  }

  @Test("float32 is within 1e-5 of the terms' magnitude of the float64 reference", arguments: allSamples)
  func value(_ sample: Sample) {
    let exactInputs = sample.tensors(.float64)
    let exact = apply(sample.operation, exactInputs)
    let fast = apply(sample.operation, sample.tensors(.float32))
    for (index, magnitude) in magnitudes(sample, exactInputs, exact).enumerated() {
      let error = worstError(fast[index], exact[index], magnitude)
      #expect(error <= 1e-5, "result \(index): \(error)")
    }
  }

  @Test("a kernel gives what its composed form gives", arguments: allSamples.filter(\.hasComposedForm))
  func composed(_ sample: Sample) {
    let inputs = sample.tensors(.float32)
    guard case .composed(let body) = sample.operation.rule.value else { return }
    let exactInputs = sample.tensors(.float64)
    let bounds = magnitudes(sample, exactInputs, apply(sample.operation, exactInputs))
    let (fast, slow) = (apply(sample.operation, inputs), body(inputs))
    for index in fast.indices { #expect(worstError(fast[index], slow[index], bounds[index]) <= 1e-5) }
  }

  @Test("reverse mode is what central differences say", arguments: differentiableSamples)
  func gradient(_ sample: Sample) {
    let check = GradientCheck64(sample)
    let gradients = check.gradients(check.inputs)
    let along = check.along(gradients).item()
    let difference = check.difference { check.weighted(check.apply($0)) }
    #expect(GradientCheck64.agree(along, difference), "\(along), differences say \(difference)")
    for (gradient, input) in zip(gradients, check.inputs) where gradient != nil {
      #expect(gradient?.type == input.type)
    }
  }

  @Test("the gradient for one input alone is the same", arguments: differentiableSamples)
  func gradientOfOne(_ sample: Sample) {
    let check = GradientCheck64(sample)
    let together = check.gradients(check.inputs)
    for place in check.inputs.indices where check.isDifferentiable[place] {
      let alone = BackpropTensors.gradient(at: check.inputs[place]) { point in
        var inputs = check.inputs
        inputs[place] = point
        return check.weighted(check.apply(inputs))
      }
      #expect(alone.doubles == together[place]?.doubles)
    }
  }

  @Test(
    "the gradient of (gradient · vector) is what central differences say", arguments: differentiableSamples)
  func secondGradient(_ sample: Sample) {
    let check = GradientCheck64(sample)
    let places = check.inputs.indices.filter { check.isDifferentiable[$0] }
    func first(_ inputs: [Tensor]) -> Tensor { check.along(check.gradients(inputs)) }
    let second = BackpropTensors.gradient(at: places.map { check.inputs[$0] }) { points in
      var inputs = check.inputs
      for (place, point) in zip(places, points) { inputs[place] = point }
      return first(inputs)
    }
    var all = [Tensor?](repeating: nil, count: check.inputs.count)
    for (place, gradient) in zip(places, second) { all[place] = gradient }
    let along = check.along(all).item()
    let difference = check.difference(first)
    #expect(GradientCheck64.agree(along, difference), "\(along), differences say \(difference)")
  }

  @Test("compiled is eager, the gradient too", arguments: allSamples)
  func compiled(_ sample: Sample) {
    let inputs = sample.tensors(.float32)
    let places = inputs.indices.filter { inputs[$0].dtype.isFloatingPoint }
    let body: @Sendable ([Tensor]) -> [Tensor] = { inputs in
      let (values, pullback) = valueWithPullback(at: places.map { inputs[$0] }) { points in
        var all = inputs
        for (place, point) in zip(places, points) { all[place] = point }
        return Array(apply(sample.operation, all).dropLast(sample.operation.rule.savedResults))
      }
      return values + pullback(values.map { Tensor.ones($0.shape, dtype: $0.dtype) })
    }
    let eager = body(inputs)
    let fast = BackpropTensors.compiled(body)(inputs)
    #expect(fast.map(\.type) == eager.map(\.type))
    for (fast, eager) in zip(fast, eager) {
      let scale = eager.dtype.isFloatingPoint ? compiledScale(sample, eager) : Tensor.ones(like: eager)
      #expect(worstError(fast, eager, scale) <= 1e-6)
    }
  }
}

extension Sample {
  var hasComposedForm: Bool {
    if case .composed = operation.rule.value { operation.rule.kernel != nil } else { false }
  }
}
