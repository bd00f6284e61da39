import Testing

@testable import BackpropTensors

/// The ways in which a gradient may be wrong, each applied to one input's gradient.
enum GradientFault: String, CaseIterable, Sendable {
  case scaledByOnePercent, shifted, dropped

  func applied(to gradient: Tensor) -> Tensor? {
    switch self {
    case .scaledByOnePercent: gradient * 1.01
    case .shifted: gradient + 0.01
    case .dropped: nil
    }
  }
}

/// One input of one kind of operation, with all samples of the kind.
struct FaultyInput: Sendable, CustomStringConvertible {
  var name: String
  var place: Int
  var samples: [Sample]

  var description: String { "\(name), input \(place)" }

  static let all: [FaultyInput] = Operation.families.flatMap { ofFamily($0) }

  private static func ofFamily<Family: SampledFamily>(_: Family.Type) -> [FaultyInput] {
    let samples = differentiableSamples.filter { sample in
      sample.operation.family is Family && sample.operation.rule.gradient.function != nil
    }
    let kinds = Dictionary(grouping: samples) { ($0.operation.family as! Family).kind }
    return kinds.flatMap { kind, samples in
      let places = Set(
        samples.flatMap { sample in sample.inputs.indices.filter { sample.inputs[$0].type.dtype == .float64 }
        })
      return places.map { place in
        FaultyInput(
          name: "\(Family.self).\(kind)", place: place, samples: samples.filter { $0.inputs.count > place })
      }
    }
  }
}

@Suite("The table catches wrong gradients")
struct MutationTests {
  @Test("a perturbed gradient is caught", arguments: FaultyInput.all, GradientFault.allCases)
  func caught(_ input: FaultyInput, _ fault: GradientFault) {
    var isFlat = true
    var wasCaught = false
    for sample in input.samples {
      let check = GradientCheck64(sample)
      guard let right = check.gradients(of: sample.operation.rule) else { continue }
      let difference = check.difference { check.weighted(check.apply($0)) }
      #expect(GradientCheck64.agree(check.along(right).item(), difference))
      guard let gradient = right[input.place] else { continue }
      if gradient.doubles.contains(where: { $0 != 0 }) { isFlat = false }
      var wrong = right
      wrong[input.place] = fault.applied(to: gradient)
      if !GradientCheck64.agree(check.along(wrong).item(), difference) { wasCaught = true }
    }
    // Where the function is flat, a multiple of its gradient is its gradient.
    #expect(wasCaught || (isFlat && fault != .shifted), "\(fault) passes")
  }
}
