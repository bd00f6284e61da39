import CKernels
import COneDNN
import Testing

@testable import OneDNN

@Suite("matmul in parts", .serialized)
struct MatmulPartsTests {
  /// A product and an axis to cut it along, chosen freely: what is cut must not matter for what comes out.
  struct Cut: Sendable {
    var description: Matmul.Description
    var axis: Formulation.Axis
  }

  static let cuts: [Cut] = {
    var cuts: [Cut] = []
    for (transposeSource, transposeWeights) in [(false, false), (true, false), (false, true), (true, true)] {
      for axis in [Formulation.Axis.rows, .columns] {
        var description = Matmul.Description(
          m: 100, k: 37, n: 75, transposeSource: transposeSource, transposeWeights: transposeWeights)
        cuts.append(Cut(description: description, axis: axis))
        description.bias = true
        description.postOperations = [.sum(scale: 0.5), .eltwise(.relu())]
        cuts.append(Cut(description: description, axis: axis))
        description.postOperations = [
          .binary(.multiply, Layout([1, 75], .float32)), .binary(.add, Layout([100, 1], .float32)),
        ]
        cuts.append(Cut(description: description, axis: axis))
      }
    }
    for (source, weights) in [([6], [6]), ([6], []), ([1], [6]), ([2, 3], [2, 3]), ([2, 1], [1, 3])] {
      for axis in 0..<max(source.count, weights.count) {
        let description = Matmul.Description(
          m: 20, k: 33, n: 18, bias: true, sourceBatch: source, weightsBatch: weights)
        cuts.append(Cut(description: description, axis: .batch(axis)))
      }
    }
    return cuts
  }()

  @Test("any cut of any product, by brgemm and by gemm", arguments: cuts)
  func anyCut(_ cut: Cut) throws {
    let example = MatmulCase(cut.description)
    let reference = example.reference()
    for method in [Formulation.Method.direct, .gemm] {
      for parts in [1, 2, 3] {
        let formulation = Formulation(method: method, parts: parts, axis: cut.axis)
        let matmul = try forOneThread { () throws(OneDNNError) in try Matmul(cut.description, formulation) }
        let values = try example.run(matmul)
        for (index, value) in values.enumerated() {
          let error = abs(Double(value) - reference.values[index])
          let allowed = 1e-6 * reference.magnitudes[index]
          #expect(error <= allowed, "\(cut.description) by \(formulation): element \(index) is \(value)")
          if error > allowed { return }
        }
      }
    }
  }

  @Test(
    "products that are copied into place",
    arguments: [Formulation.Method.transposed, .copied], [Formulation.Axis.rows, .columns])
  func copies(method: Formulation.Method, axis: Formulation.Axis) throws {
    let example = MatmulCase(.init(m: 100, k: 37, n: 70, transposeWeights: axis == .columns))
    let reference = example.reference()
    for parts in [1, 2, 4] {
      let formulation = Formulation(method: method, parts: parts, axis: axis)
      let matmul = try Matmul(example.description, formulation)
      #expect(matmul.parts == parts)
      let values = try example.run(matmul)
      for (index, value) in values.enumerated() {
        #expect(abs(Double(value) - reference.values[index]) <= 1e-6 * reference.magnitudes[index])
      }
    }
  }

  /// One for each way a product is cut on two threads.
  static let shared: [Matmul.Description] = [
    .init(m: 256, k: 128, n: 64, bias: true, activation: .relu()),
    .init(m: 256, k: 300, n: 520),
    .init(m: 200, k: 256, n: 128, transposeSource: true),
    .init(m: 400, k: 128, n: 10, transposeSource: true),
    .init(m: 3, k: 512, n: 520, transposeWeights: true),
    .init(m: 17, k: 300, n: 200, transposeWeights: true, bias: true, activation: .relu()),
    .init(m: 64, k: 32, n: 64, transposeWeights: true, sourceBatch: [6], weightsBatch: [6]),
  ]

  @Test("parts have scratch memory of their own, all inside what is asked for", arguments: shared)
  func scratchpads(_ description: Matmul.Description) throws {
    let matmul = try Matmul.primitive(for: description, threads: 2)
    #expect(matmul.parts > 1 && matmul.steps.count % matmul.parts == 0)
    let length = matmul.steps.count / matmul.parts
    var end = 0
    for part in 0..<matmul.parts {
      let regions = matmul.steps[part * length..<(part + 1) * length].flatMap(\.operands)
        .filter { $0.role == .scratch && $0.descriptor.size > 0 }
      #expect(regions.allSatisfy { $0.offset >= end && $0.offset % 64 == 0 }, "part \(part)")
      end = regions.map { $0.offset + $0.descriptor.size }.max() ?? end
      #expect(end <= matmul.scratchpadSize)
    }
  }

  @Test("the same bits run after run, on one thread of the pool and on two", arguments: shared)
  func sameBits(_ description: Matmul.Description) throws {
    let example = MatmulCase(description)
    let matmul = try Matmul.primitive(for: description, threads: 2)
    let first = try example.run(matmul)
    let former = ck_thread_count()
    defer { ck_set_thread_count(former) }
    for threads in [1, 2, 2, 2] as [Int32] {
      ck_set_thread_count(threads)
      let values = try example.run(matmul)
      #expect(values.map(\.bitPattern) == first.map(\.bitPattern), "\(threads) threads")
    }
  }

  @Test("several tasks at once get what one gets", arguments: shared)
  func tasks(_ description: Matmul.Description) async throws {
    let example = MatmulCase(description)
    let expected = try example.run(threads: 2)
    let same = try await withThrowingTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 {
        group.addTask {
          var same = true
          for _ in 0..<5 { same = try example.run(threads: 2) == expected && same }
          return same
        }
      }
      return try await group.reduce(true) { $0 && $1 }
    }
    #expect(same)
  }

  @Test("the caller's own OpenMP keeps its thread count, and primitives are made for one thread all the same")
  func callersCount() throws {
    let former = odn_thread_count()
    defer { odn_set_thread_count(former) }
    let description = Matmul.Description(m: 250, k: 130, n: 70, transposeSource: true)
    odn_set_thread_count(1)
    let alone = try Matmul(description, description.formulation(threads: 2))
    odn_set_thread_count(3)
    let count = odn_thread_count()  // 1 where oneDNN is built without OpenMP
    let matmul = try Matmul.primitive(for: description, threads: 2)
    #expect(matmul.scratchpadSize == alone.scratchpadSize)
    _ = try MatmulCase(description).run(matmul)
    #expect(odn_thread_count() == count)
  }
}
