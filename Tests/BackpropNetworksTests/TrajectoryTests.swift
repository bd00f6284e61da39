import Backprop
import Testing

@testable import BackpropNetworks

@Suite("Trajectories") struct TrajectoryTests {
  static let golden = Golden("trajectories")

  @Test("200 steps of the guide's program follow Keras", arguments: golden.cases)
  func follows(_ golden: GoldenCase) throws {
    let model = Sequential {
      Input([784])
      Dense(64, activation: .relu)
      Dense(64, activation: .relu)
      Dense(10, activation: .softmax)
    }
    try model.setWeights((Self.golden.facts["weights"] as! [Any]).map(goldenTensor))
    let optimizer = try Optimizer.named(golden.text("optimizer"), config: golden.config("arguments"))
    try model.compile(optimizer: optimizer, loss: try Loss(named: golden.text("loss")), metrics: [.accuracy])
    let images = Column(Self.golden.tensor("images"), scale: 1 / 255)
    let labels = Self.golden.tensor("labels")
    let isSparse = golden.text("loss").hasPrefix("sparse")
    let targets = isSparse ? labels : labels.cast(to: .int32).oneHot(classes: 10)
    let order = Self.golden.tensor("order").integers
    let (losses, accuracies) = (golden.tensor("losses").doubles, golden.tensor("accuracies").doubles)
    var worst = 0.0
    for step in 0..<200 {
      let rows = order[step * 64..<(step + 1) * 64].map { Int32($0) }
      model.resetMetrics()
      let logs = try model.trainOnBatch(images.rows(rows), Column(targets).rows(rows))
      worst = max(worst, abs(logs["loss"]! - losses[step]) / losses[step])
      #expect(abs(logs["accuracy"]! - accuracies[step]) < 0.02, "accuracy of step \(step)")
    }
    #expect(worst <= 1e-5, "the worst relative difference is \(worst)")
  }
}
