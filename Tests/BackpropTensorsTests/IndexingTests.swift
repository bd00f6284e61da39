import Testing

@testable import BackpropTensors

@Suite("Subscripts, indexing, order and einsum")
struct IndexingTests {
  private static let x = Tensor.range(to: 24).reshaped(to: [2, 3, 4])

  @Test("positions, ranges, negative ones, strides, new axes, ellipses")
  func subscripts() {
    let x = Self.x
    #expect(x[1].shape == [3, 4] && x[1].integers.first == 12)
    #expect(x[-1, -1, -1].integers == [23] && x[-1, -1, -1].shape == [])
    #expect(x[0, 1..<3].integers == [4, 5, 6, 7, 8, 9, 10, 11])
    #expect(x[0, 1..<3, 1...2].integers == [5, 6, 9, 10])
    #expect(x[..., 0].integers == [0, 4, 8, 12, 16, 20] && x[..., 0].shape == [2, 3])
    #expect(x[.ellipsis, 0].integers == x[..., 0].integers)
    #expect(x[0, .ellipsis, 1..<3].shape == [3, 2])
    #expect(
      x[0, 0, (-2)...].integers == [2, 3] && x[0, 0, ..<(-1)].integers == [0, 1, 2]
        && x[0, 0, ...1].integers == [0, 1])
    #expect(
      x[0, 0, -3..<(-1)].integers == [1, 2] && x[0, 0, -2..<0].integers == [2, 3]
        && x[0, 0, -2...(-1)].integers == [2, 3])
    #expect(x[0, 0, ...(-1)].integers == [0, 1, 2, 3])
    #expect(x[.all, .newAxis, 0].shape == [2, 1, 4] && x[..., .newAxis].shape == [2, 3, 4, 1])
    #expect(
      x[0, 0, .stride(by: -1)].integers == [3, 2, 1, 0]
        && x[0, 0, .stride(from: 1, to: nil, by: 2)].integers == [1, 3])
    #expect(
      x[0, 0, .stride(from: -1, to: 0, by: -2)].integers == [3, 1]
        && x[0, 0, .stride(from: 0, by: 3)].integers == [0, 3])
    #expect(x[0, 0, 2..<2].shape == [0] && x[0, 3..<3].shape == [0, 4])
    let i = 1
    #expect(x[i, i + 1].integers == [20, 21, 22, 23])
  }

  @Test("a subscript's gradient lies where its elements were")
  func subscriptGradient() {
    let g = gradient(at: Tensor.ones([3, 4])) { ($0[1..., .stride(by: -2)] * 2).sum() }
    #expect(g.floats == [0, 0, 0, 0, 0, 2, 0, 2, 0, 2, 0, 2])
  }

  @Test("a subscript is compiled")
  func subscriptCompiled() {
    let f = compiled { [$0[0][0, 1...], $0[0][..., -1]] }
    let x = Self.x.cast(to: .float32)
    #expect(f([x]).map(\.floats) == [x[0, 1...].floats, x[..., -1].floats])
  }

  @Test("gathered along any axis, with positions of any shape")
  func gathered() {
    let x = Self.x
    #expect(x.gathered(Tensor([1, 0])).integers.prefix(2) == [12, 13])
    let middle = x.gathered(Tensor([[2, 0]]), axis: 1)
    #expect(middle.shape == [2, 1, 2, 4] && middle.integers.prefix(8) == [8, 9, 10, 11, 0, 1, 2, 3])
    #expect(x.gathered(Tensor(3), axis: -1).integers == [3, 7, 11, 15, 19, 23])
    #expect(Tensor([true, false]).gathered(Tensor([1, 0])).scalars(of: Bool.self) == [false, true])
    #expect(Tensor([1.5, 2.5]).cast(to: .bfloat16).gathered(Tensor([1])).doubles == [2.5])
  }

  @Test("takenAlong stretches what has size 1")
  func takenAlong() {
    let x = Tensor([[10, 20, 30], [40, 50, 60]] as [[Float]])
    #expect(x.takenAlong(axis: 1, at: Tensor([[2], [0]])).floats == [30, 40])
    #expect(x.takenAlong(axis: 1, at: Tensor([[2, 2]])).floats == [30, 30, 60, 60])
    #expect(x.takenAlong(axis: 0, at: Tensor([[1, 0, 1]])).floats == [40, 20, 60])
    #expect(x[0..<1].takenAlong(axis: 1, at: Tensor([[2], [0]])).floats == [30, 10])
  }

  @Test("replaced rows: the last of several remains")
  func replaced() {
    let x = Tensor.zeros([3, 2])
    let rows = Tensor([[1, 1], [2, 2], [3, 3]] as [[Float]])
    #expect(x.replacingRows(at: Tensor([0, 2, 0]), with: rows).floats == [3, 3, 0, 0, 2, 2])
    #expect(x.dtype == .float32)
  }

  @Test("a position that isn't there: zeros in a compiled program")
  func outsideCompiled() {
    let x = Tensor([[1, 2], [3, 4]] as [[Float]])
    let f = compiled { [$0[0].gathered($0[1]), $0[0].scatterAdded(rows: 2, at: $0[1])] }
    let results = f([x, Tensor([1, 7] as [Int32])])
    #expect(results.map(\.floats) == [[3, 4, 0, 0], [0, 0, 1, 2]])
    let along = compiled { [$0[0].takenAlong(axis: 1, at: $0[1])] }
    #expect(along([x, Tensor([[1, -1], [0, 2]] as [[Int32]])])[0].floats == [2, 0, 3, 0])
  }

  @Test("sorting: stable, NaN last both ways, −0 equals 0")
  func sorting() {
    let x = Tensor([2, .nan, -1, 0, -0.0, 2, -.infinity] as [Float])
    #expect(x.argSorted().integers == [6, 2, 3, 4, 0, 5, 1])
    #expect(x.argSorted(descending: true).integers == [0, 5, 3, 4, 2, 6, 1])
    #expect(x.sorted().floats.last!.isNaN && x.sorted(descending: true).floats.last!.isNaN)
    let (values, positions) = Tensor([[3, 9, 4], [8, 7, 8]] as [[Int32]]).topK(2)
    #expect(values.integers == [9, 4, 8, 8] && positions.integers == [1, 2, 0, 2] && values.dtype == .int32)
    #expect(Tensor([3, 200, 7] as [UInt8]).sorted(descending: true).integers == [200, 7, 3])
    #expect(Tensor([Int64.max, Int64.min, 0]).argSorted().integers == [1, 2, 0])
    let f = compiled { [$0[0].sorted(), $0[0].topK(2).positions] }
    #expect(f([Tensor([3, 1, 2] as [Float])]).map(\.integers) == [[1, 2, 3], [0, 2]])
  }

  @Test("running sums of small integers don't wrap, of bool count")
  func cumulativeSums() {
    #expect(Tensor([200, 100] as [UInt8]).cumulativeSum(axis: 0).integers == [200, 300])
    #expect(Tensor([true, false, true]).cumulativeSum(axis: 0, exclusive: true).integers == [0, 1, 1])
    #expect(Tensor([1, 2, 3] as [Float]).cumulativeSum(axis: 0, reverse: true).floats == [6, 5, 3])
    #expect(
      Tensor([1, 2, 3] as [Float]).cumulativeProduct(axis: 0, exclusive: true, reverse: true).floats == [
        6, 3, 1,
      ])
  }

  @Test(
    "einsum's gradient is what central differences say",
    arguments: [
      "ij,jk->ik", "ij,kj->ki", "bij,bjk->ik", "ii,ij->j", "...i,...i->...", "i,j,k->kij", "ij,->j",
      "bi,bj->bij",
    ])
  func einsumGradient(_ equation: String) throws {
    let terms = equation.split(separator: "-")[0].split(separator: ",", omittingEmptySubsequences: false)
    let sizes: [Character: Int] = ["i": 3, "j": 2, "k": 4, "b": 2, ".": 2]
    let random = RandomGenerator(seed: 2)
    let operands = terms.map { term in
      random.normal(Shape(term.replacing("...", with: ".").map { sizes[$0]! }))
    }
    try checkGradients(at: operands) { x in
      switch x.count {
      case 2: Tensor.einsum(equation, x[0], x[1])
      default: Tensor.einsum(equation, x[0], x[1], x[2])
      }
    }
  }

  @Test("einsum multiplies whole numbers and truths exactly")
  func einsumIntegers() {
    let a = Tensor([[1, 2], [3, 4]] as [[Int64]])
    #expect(Tensor.einsum("ij,jk", a, a).integers == [7, 10, 15, 22])
    #expect(Tensor.einsum("ii", a).integers == [5])
    #expect(Tensor.einsum("i,i", Tensor([true, true]), Tensor([true, false])).integers == [1])
  }
}
