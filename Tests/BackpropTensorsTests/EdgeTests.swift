import Testing

@testable import BackpropTensors

@Suite("Edges: huge, empty, single, NaN, scalars and many axes")
struct EdgeTests {
  private static let floats: [DType] = [.float32, .float64]

  @Test("softmax, logSoftmax and logSumExp at ±1e4 are finite and right", arguments: floats)
  func huge(_ dtype: DType) {
    let x = Tensor([[1e4, -1e4, 0], [-1e4, -1e4, -1e4]] as [[Double]]).cast(to: dtype)
    let third = 1.0 / 3
    let soft = x.softmax().doubles
    #expect(Array(soft[..<3]) == [1, 0, 0])
    #expect(soft[3...].allSatisfy { abs($0 - third) < 1e-7 })
    let logs = x.logSoftmax().doubles
    #expect(Array(logs[..<3]) == [0, -2e4, -1e4])
    #expect(logs[3...].allSatisfy { abs($0 + 1.098_612_288_668_11) < 1e-3 })
    let sums = x.logSumExp(axes: [1]).doubles
    #expect(sums[0] == 1e4)
    #expect(abs(sums[1] + 9998.901_387_711) < 1e-3)
    let gradient = BackpropTensors.gradient(at: x) { $0.logSumExp(axes: [1]).sum() }
    #expect(worstError(gradient, x.softmax(), Tensor.ones(like: x)) < 1e-6)
  }

  @Test("infinities: −∞ counts nothing, all −∞ give −∞", arguments: floats)
  func infinities(_ dtype: DType) {
    let x = Tensor([0, -.infinity] as [Double]).cast(to: dtype)
    #expect(x.softmax().doubles == [1, 0])
    #expect(x.logSoftmax().doubles == [0, -.infinity])
    #expect(x.logSumExp().item() == 0)
    #expect(Tensor([-.infinity, -.infinity] as [Double]).cast(to: dtype).logSumExp().item() == -.infinity)
    #expect(Tensor([.infinity, 1] as [Double]).cast(to: dtype).logSumExp().item() == .infinity)
  }

  @Test("cross-entropy at ±1e4 is finite, its gradient too", arguments: floats)
  func crossentropy(_ dtype: DType) {
    let logits = Tensor([[1e4, -1e4, 0], [1e4, -1e4, 0]] as [[Double]]).cast(to: dtype)
    let labels = Tensor([0, 1] as [Int32])
    let (loss, gradient) = valueAndGradient(at: logits) { $0.sparseCrossentropy(labels: labels).sum() }
    #expect(logits.sparseCrossentropy(labels: labels).doubles == [0, 2e4])
    #expect(loss.item() == 2e4)
    #expect(gradient.doubles == [0, 0, 0, 1, -1, 0])
  }

  @Test("a label outside the classes makes its row NaN and no other", arguments: floats)
  func crossentropyBadLabel(_ dtype: DType) {
    let logits = Tensor.ones([3, 2], dtype: dtype)
    let loss = logits.sparseCrossentropy(labels: Tensor([0, 2, -1] as [Int32])).doubles
    #expect(loss[0].isFinite && loss[1].isNaN && loss[2].isNaN)
  }

  @Test("log, reciprocal and square root where they leave the finite numbers", arguments: floats)
  func poles(_ dtype: DType) {
    let x = Tensor([0, -1] as [Double]).cast(to: dtype)
    #expect(x.log().doubles[0] == -.infinity && x.log().doubles[1].isNaN)
    #expect(x.log1p().doubles == [0, -.infinity])
    #expect(x.reciprocal().doubles[0] == .infinity)
    #expect(x.sqrt().doubles[0] == 0 && x.sqrt().doubles[1].isNaN)
    #expect(gradient(at: x[0]) { $0.sqrt() }.item() == .infinity)
    let large = Tensor([1e4, -1e4] as [Double]).cast(to: dtype)
    #expect(large.exp().doubles == [.infinity, 0])
    #expect(large.tanh().doubles == [1, -1])
    #expect(large.sigmoid().doubles == [1, 0])
    #expect(large.softplus().doubles == [1e4, 0])
    #expect(large.erf().doubles == [1, -1])
    #expect(gradient(at: large) { $0.softplus().sum() }.doubles == [1, 0])
  }

  @Test("NaN goes through what looks at it", arguments: floats)
  func nan(_ dtype: DType) {
    let x = Tensor([1, .nan, -2] as [Double]).cast(to: dtype)
    #expect(x.max().item().isNaN && x.min().item().isNaN && x.sum().item().isNaN)
    #expect(x.relu().doubles[1].isNaN)
    #expect(x.softmax().doubles.allSatisfy { $0.isNaN })
    #expect(x.maximum(0).doubles[1].isNaN && x.minimum(0).doubles[1].isNaN)
    #expect(Tensor(0.0).cast(to: dtype).maximum(x).doubles[1].isNaN)
    #expect(x.isNaN().scalars(of: Bool.self) == [false, true, false])
    #expect(x.isFinite().scalars(of: Bool.self) == [true, false, true])
    #expect((x .== x).scalars(of: Bool.self) == [true, false, true])
    #expect(x.argMax().integers == [1] && x.argMin().integers == [1])
    #expect(x.sign().doubles[1].isNaN)
    #expect(x.cast(to: .int32).integers == [1, 0, -2])
    #expect(x.any().item() == 1)
  }

  @Test("empty tensors", arguments: floats)
  func empty(_ dtype: DType) {
    let x = Tensor.zeros([0, 3], dtype: dtype)
    #expect(x.sum().item() == 0 && x.product().item() == 1)
    #expect(x.sum(axes: [0]).doubles == [0, 0, 0])
    #expect(x.sum(axes: [1]).shape == [0])
    #expect(x.mean().item().isNaN)
    #expect(x.mean(axes: [0]).doubles.allSatisfy { $0.isNaN })
    #expect(x.all().item() == 1 && x.any().item() == 0)
    #expect((x + 1).shape == [0, 3] && x.exp().shape == [0, 3] && x.softmax().shape == [0, 3])
    #expect(x.matmul(Tensor.ones([3, 2], dtype: dtype)).shape == [0, 2])
    #expect(
      Tensor.ones([2, 0], dtype: dtype).matmul(Tensor.ones([0, 2], dtype: dtype)).doubles == [0, 0, 0, 0])
    #expect(Tensor.concatenate([x, Tensor.ones([1, 3], dtype: dtype)]).doubles == [1, 1, 1])
    #expect(x.transposed().shape == [3, 0] && x.reshaped(to: [3, 0, 7]).shape == [3, 0, 7])
    #expect(x.sorted(axis: 0).shape == [0, 3] && x.cumulativeSum(axis: 0).shape == [0, 3])
    #expect(gradient(at: x) { $0.squared().sum() }.shape == [0, 3])
    #expect(x.description == "[]")
    #expect(
      compiled { [$0[0].exp() + 1, $0[0].sum()] }([x.cast(to: .float32)]).map(\.shape) == [[0, 3], []])
  }

  @Test("one element", arguments: floats)
  func single(_ dtype: DType) {
    let x = Tensor([[3.0]]).cast(to: dtype)
    #expect(x.softmax().item() == 1 && x.logSoftmax().item() == 0 && x.logSumExp().item() == 3)
    #expect(x.variance().item() == 0 && x.standardDeviation().item() == 0)
    #expect(x.sum(axes: [0]).shape == [1] && x.max().shape == [])
    #expect(x.matmul(x).item() == 9)
    #expect(x.sparseCrossentropy(labels: Tensor([0] as [Int32])).doubles == [0])
    #expect(x.sorted().item() == 3 && x.argMax().item() == 0 && x.topK(1).positions.item() == 0)
  }

  @Test("scalars and five axes go through the same operations", arguments: floats)
  func ranks(_ dtype: DType) {
    let scalar = Tensor(2.0).cast(to: dtype)
    #expect((scalar * scalar + 1).item() == 5 && scalar.sum().shape == [] && scalar.transposed().item() == 2)
    #expect(scalar.broadcast(to: [2, 2]).doubles == [2, 2, 2, 2])
    #expect(gradient(at: scalar) { $0.squared() }.item() == 4)
    let five = Tensor.range(to: 96).reshaped(to: [2, 2, 2, 3, 4]).cast(to: dtype)
    #expect(five.sum(axes: [0, 2, 4]).shape == [2, 3])
    #expect(five.sum(axes: [0, 2, 4]).sum().item() == 95 * 48)
    #expect(five.softmax(axis: 2).sum(axes: [2]).doubles.allSatisfy { abs($0 - 1) < 1e-6 })
    #expect(five.transposed([4, 0, 3, 1, 2])[3, 1, 2, 0, 1].item() == 48 + 12 + 8 + 3)
    #expect((five + Tensor.ones([2, 1, 4], dtype: dtype)).shape == [2, 2, 2, 3, 4])
  }
}
