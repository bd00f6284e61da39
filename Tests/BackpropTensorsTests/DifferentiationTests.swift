import Testing

@testable import BackpropTensors

@Suite("Differentiation")
struct DifferentiationTests {
  private static let x = Tensor([0.5, -1, 2] as [Double])

  @Test("gradients nest: the third derivative of x⁴")
  func nested() {
    let third = gradient(at: Tensor(2.0)) { x in
      gradient(at: x) { x in gradient(at: x) { x in x.squared().squared() } }
    }
    #expect(third.item() == 48)
  }

  @Test("an inner gradient doesn't see the outer variable's perturbation")
  func perturbationConfusion() {
    // d/dx (x · d/dy (x + y)) = 1; a confused system gives 2.
    let outer = gradient(at: Tensor(3.0)) { x in x * gradient(at: Tensor(1.0)) { y in x + y } }
    #expect(outer.item() == 1)
    // d/dx (x · d/dy (x · y)) = 2x
    let product = gradient(at: Tensor(3.0)) { x in x * gradient(at: Tensor(1.0)) { y in x * y } }
    #expect(product.item() == 6)
  }

  @Test("a tensor used twice gets both gradients, one that isn't used zeros")
  func fanOut() {
    let (value, gradients) = valueAndGradient(at: [Self.x, Tensor([1.0])]) { inputs in
      (inputs[0] * inputs[0] + inputs[0]).sum()
    }
    #expect(value.item() == 6.75)
    #expect(gradients.map(\.doubles) == [[2, -1, 5], [0]])
  }

  @Test("the pullback takes one cotangent for each result, and can be called again")
  func pullback() {
    let (values, pullback) = valueWithPullback(at: [Self.x]) { [$0[0].squared(), $0[0] * 3] }
    #expect(values.map(\.doubles) == [[0.25, 1, 4], [1.5, -3, 6]])
    let ones = Tensor.ones(like: Self.x)
    #expect(pullback([ones, ones])[0].doubles == [4, 1, 7])
    #expect(pullback([ones * 2, Tensor.zeros(like: ones)])[0].doubles == [2, -4, 8])
    let identity = vectorJacobianProduct(at: [Self.x], [ones]) { [$0[0].exp().log()] }
    #expect(identity[0].doubles.allSatisfy { abs($0 - 1) < 1e-12 })
  }

  @Test("a Hessian-vector product is a column of the Hessian")
  func hessianVector() {
    // f = x₀²x₁ + x₂³: H = [[2x₁, 2x₀, 0], [2x₀, 0, 0], [0, 0, 6x₂]]
    let f: (Tensor) -> Tensor = { x in x[0].squared() * x[1] + x[2] * x[2] * x[2] }
    let columns = (0..<3).map { column in
      hessianVectorProduct(at: Self.x, Tensor.eye(3, dtype: .float64)[column], of: f).doubles
    }
    #expect(columns == [[-2, 1, 0], [1, 0, 0], [0, 0, 12]])
  }

  @Test("stopGradient makes a constant")
  func stopGradient() {
    let g = gradient(at: Self.x) { x in (x * x.stopGradient()).sum() }
    #expect(g.doubles == Self.x.doubles)
    let inner = gradient(at: Tensor(3.0)) { x in gradient(at: x) { y in y * x.stopGradient() } + x }
    #expect(inner.item() == 1)
  }

  @Test("ties: relu and abs have 0 at 0, equal maxima share, of two equal operands the first has it")
  func ties() {
    let zero = Tensor([0, -0.0, 1] as [Float])
    #expect(gradient(at: zero) { $0.relu().sum() }.floats == [0, 0, 1])
    #expect(gradient(at: zero) { $0.abs().sum() }.floats == [0, 0, 1])
    #expect(gradient(at: Tensor([2, 2, 1, 2] as [Float])) { $0.max() * 3 }.floats == [1, 1, 0, 1])
    #expect(gradient(at: Tensor([2, 1, 1] as [Float])) { $0.min() }.floats == [0, 0.5, 0.5])
    let pair = gradient(at: [Tensor([1, 2] as [Float]), Tensor([1, 3] as [Float])]) {
      $0[0].maximum($0[1]).sum()
    }
    #expect(pair.map(\.floats) == [[1, 0], [0, 1]])
    #expect(
      gradient(at: Tensor([-1, 0, 0.5, 1, 2] as [Float])) { $0.clipped(to: 0...1).sum() }.floats == [
        0, 1, 1, 1, 0,
      ])
  }

  @Test("a cast passes the gradient in the input's dtype")
  func casts() {
    let g = gradient(at: Self.x) { x in (x.cast(to: .float32) * 2).sum() }
    #expect(g.dtype == .float64)
    #expect(g.doubles == [2, 2, 2])
    let half = gradient(at: Tensor([1.5] as [Float]).cast(to: .bfloat16)) { ($0 * $0).sum() }
    #expect(half.dtype == .bfloat16)
    #expect(half.doubles == [3])
    #expect(gradient(at: Self.x) { x in x.cast(to: .int32).cast(to: .float64).sum() }.doubles == [0, 0, 0])
  }

  // MARK: Variables

  @Test("gradients of variables: those read, nil for others; a variable read twice counts twice")
  func variables() {
    let a = Variable(Tensor([1, 2] as [Float]), name: "a")
    let b = Variable(Tensor([3, 4] as [Float]), name: "b")
    let unused = Variable(Tensor([5] as [Float]), name: "unused")
    let (value, gradients) = valueAndGradient(at: [a, b, unused]) { (a.value * b.value * a.value).sum() }
    #expect(value.item() == 19)
    #expect(gradients[0]?.floats == [6, 16])
    #expect(gradients[1]?.floats == [1, 4])
    #expect(gradients[2] == nil)
    #expect(!a.value.isTraced)
    #expect(a.value.floats == [1, 2])
  }

  @Test("other variables may be written inside, and hold plain values afterwards")
  func variablesWritten() {
    let weight = Variable(Tensor([2] as [Float]), name: "w")
    let mean = Variable(Tensor([0] as [Float]), name: "mean")
    let (_, gradients) = valueAndGradient(at: [weight]) {
      let y = weight.value * 3
      mean.value = mean.value * 0.9 + y * 0.1
      return y.sum() + mean.value.sum()
    }
    #expect(gradients[0]?.floats == [3])
    #expect(abs(mean.value.floats[0] - 0.6) < 1e-6)
    if case .stored = mean.value.source {} else { Issue.record("the written value is still on a tape") }
  }

  // MARK: Checkpoints, custom gradients, custom operations

  @Test("a checkpoint gives the same values and gradients, dropout included")
  func checkpoints() throws {
    let weight = Variable(Tensor([0.3, -0.7, 1.1] as [Double]), name: "w")
    func run(_ isCheckpointed: Bool) throws -> ([Double], [Double], [Double]) {
      let random = RandomGenerator(seed: 9)
      let body: @Sendable ([Tensor]) -> [Tensor] = { inputs in
        let mask = random.bernoulli([3], probability: 0.5).cast(to: .float64)
        return [(inputs[0] * weight.value).tanh() * mask + inputs[0]]
      }
      let (value, gradients) = valueAndGradient(at: [weight]) {
        let x = weight.value.exp()
        let first = isCheckpointed ? checkpoint([x], body)[0] : body([x])[0]
        let second = isCheckpointed ? checkpoint([first], body)[0] : body([first])[0]
        return second.squared().sum()
      }
      return ([value.item()], try #require(gradients[0]).doubles, random.state.value.doubles)
    }
    let (plain, saved) = (try run(false), try run(true))
    #expect(plain == saved)
    #expect(plain.1.contains { $0 != 0 })
  }

  @Test("a checkpoint keeps only its inputs, and has second gradients")
  func checkpointSecondOrder() {
    let f: (Tensor) -> Tensor = { x in checkpoint([x]) { [$0[0].sin() * $0[0]] }[0].sum() }
    let g: (Tensor) -> Tensor = { x in (x.sin() * x).sum() }
    let v = Tensor([1, 2, 3] as [Double])
    let (a, b) = (hessianVectorProduct(at: Self.x, v, of: f), hessianVectorProduct(at: Self.x, v, of: g))
    for (a, b) in zip(a.doubles, b.doubles) { #expect(abs(a - b) < 1e-12) }
  }

  @Test("a custom gradient takes the place of the real one, to any order")
  func customGradient() {
    func straightThrough(_ x: Tensor) -> Tensor {
      withCustomGradient(
        [x], forward: { [$0[0].rounded()] }, backward: { gradients, inputs, _ in [gradients[0]! * inputs[0]] }
      )[0]
    }
    #expect(gradient(at: Self.x) { straightThrough($0).sum() }.doubles == Self.x.doubles)
    #expect(
      hessianVectorProduct(at: Self.x, Tensor.ones(like: Self.x)) { straightThrough($0).sum() }.doubles == [
        1, 1, 1,
      ])
  }

  private static let cube = CustomOperation(
    "cube", result: { $0 },
    kernel: { inputs, outputs in
      for index in inputs[0].indices {
        outputs[0][index] = inputs[0][index] * inputs[0][index] * inputs[0][index]
      }
    },
    gradient: { gradients, inputs, _ in [gradients[0]! * inputs[0].squared() * 3] })

  @Test("a custom operation is computed, differentiated twice and compiled")
  func customOperation() {
    let x = Tensor([1, 2, -3] as [Float])
    let cube = Self.cube
    #expect(cube(x)[0].floats == [1, 8, -27])
    #expect(gradient(at: x) { cube($0)[0].sum() }.floats == [3, 12, 27])
    #expect(hessianVectorProduct(at: x, Tensor.ones(like: x)) { cube($0)[0].sum() }.floats == [6, 12, -18])
    let step = compiled { inputs in
      let (value, gradient) = valueAndGradient(at: inputs[0]) { cube($0)[0].sum() }
      return [value, gradient]
    }
    #expect(step([x]).map(\.floats) == [[-18], [3, 12, 27]])
  }

  // MARK: checkGradients

  @Test("checkGradients passes what is right")
  func checkPasses() throws {
    let w = RandomGenerator(seed: 4).normal([3, 2])
    try checkGradients(at: [Self.x.reshaped(to: [1, 3]), w]) { $0[0].matmul($0[1]).tanh() }
    try checkGradients(at: Self.x, by: .randomDirection(seed: 3)) { $0.softmax().squared() }
  }

  @Test("checkGradients names input, element and both values of what is wrong")
  func checkFails() {
    let wrong: ([Tensor]) -> Tensor = { inputs in
      withCustomGradient(
        inputs, forward: { [$0[0] * $0[1].squared()] },
        backward: { g, x, _ in
          // The gradient of the second lacks its 2 where the element is last.
          let factor = Tensor([2, 2, 1] as [Double])
          return [g[0]! * x[1].squared(), g[0]! * x[0] * x[1] * factor]
        })[0].sum()
    }
    let points = [Self.x, Tensor([1, 1, 3] as [Double])]
    #expect {
      try checkGradients(at: points, of: wrong)
    } throws: { error in
      let error = error as! GradientError
      return error.input == 1 && error.element == [2] && error.gradient == 6
        && abs(error.difference - 12) < 1e-6
        && error.description.hasPrefix("the gradient of input 1 at [2] is 6.0, central differences give 12.0")
    }
    #expect(throws: GradientError.self) {
      try checkGradients(at: points, by: .randomDirection(seed: 1), of: wrong)
    }
  }
}
