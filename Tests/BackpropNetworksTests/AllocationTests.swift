#if os(Linux)
  import AllocationCounter
  import Backprop
  import Testing

  @testable import BackpropNetworks

  #if DEBUG
    private let isOptimised = false
  #else
    private let isOptimised = true
  #endif

  /// In processes of their own: a model's layers are looked for again whenever any model of the process was changed.
  @Suite("Allocations", .enabled(if: isOptimised, "code that isn't optimised takes memory for values"))
  struct AllocationTests {
    /// Blocks of memory that this thread takes for each further step of `fit`.
    fileprivate static func allocationsForEachStep(_ model: Model, _ data: LabelledData) throws -> Int {
      func count(steps: Int) throws -> Int {
        let before = allocation_count()
        try model.fit(data, batchSize: 64, verbose: .silent, stepsPerEpoch: steps)
        return Int(allocation_count() - before)
      }
      for _ in 0..<3 { _ = try count(steps: 2) }  // compiles, fills the pools of memory
      let (few, many) = (try count(steps: 5), try count(steps: 50))
      #expect(few > 0, "the counter counts")
      // A block or two more or less belong to the calls around the steps.
      return Int((Double(many - few) / 45).rounded())
    }

    @Test("a training step takes no memory")
    func trainingStep() async {
      await #expect(processExitsWith: .success) {
        let model = network(dropout: 0.2)
        try model.compile(
          optimizer: "adam", loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
        #expect(try AllocationTests.allocationsForEachStep(model, clouds(64 * 50)) == 0)
      }
    }

    @Test("in the guide's step only oneDNN's products may take some, for their arguments")
    func guideStep() async {
      await #expect(processExitsWith: .success) {
        let model = Sequential {
          Dense(64, activation: .relu)
          Dense(64, activation: .relu)
          Dense(10, activation: .softmax)
        }
        try model.compile(
          optimizer: "adam", loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
        let images = Tensor.ones([64 * 50, 784], dtype: .uint8)
        let labels = Tensor((0..<64 * 50).map { UInt8($0 % 10) })
        let count = try AllocationTests.allocationsForEachStep(
          model, LabelledData(Column(images, scale: 1 / 255), labels))
        let products = model.trainingProgram!.plan.kernels.filter {
          $0.name.contains("matmul") && !$0.implementation.contains("own product")
        }
        #expect(count <= 8 * products.count, "\(count) blocks for \(products.count) of oneDNN's products")
      }
    }
  }
#endif
