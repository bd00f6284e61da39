import BackpropNetworks
import BackpropTensors
import Foundation
import Testing

@testable import BackpropFiles

@Suite("Training reports")
struct ReportTests {
  @Test("curves, confusion matrix, mistakes as pictures, gradients, layers: in one file")
  func report() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/report.html"
    let x = counting([90, 36], .float32) / 100
    let y = Tensor((0..<90).map { Int32($0 * 5 % 3) })
    let data = LabelledData(x, y)
    let model = Sequential(name: "a<b>", seed: 8) {
      Dense(6, activation: .relu); Dense(3, activation: .softmax)
    }
    try model.compile(optimizer: Adam(), loss: .sparseCategoricalCrossentropy, metrics: [.accuracy])
    let monitor = GradientMonitor()
    let history = try model.fit(
      data, epochs: 3, verbose: .silent,
      callbacks: [
        monitor,
        TrainingReport(path, data: data, classNames: ["red", "green", "&"], gradientMonitor: monitor),
      ],
      validationData: data)
    let page = String(decoding: try bytes(of: path), as: UTF8.self)
    for words in [
      "Training of a&lt;b&gt;", "<polyline", ">val_accuracy</span>", ">epoch 1</text>", ">3</text>",
      ">step 1</text>", "Confusion matrix", "data:image/png;base64,",
      "said green",
      "gradients are healthy", "Dense", "Total params", "<th>seed</th><td>8</td>", "oneDNN",
      String(format: "%.4g", history["val_loss"].last!),
    ] { #expect(page.contains(words), "\(words)") }
    #expect(!page.contains("a<b>") && !page.contains("http") && !page.contains("<script"))
    #expect(folder.names == ["report.html"])
  }

  @Test("the matrix counts every row, and the worst mistake comes first")
  func mistakes() throws {
    let model = Sequential {
      Input([2]); Dense(2, activation: .softmax)
    }
    try model.setWeights([Tensor([[1, 0], [0, 1]] as [[Float]]), Tensor([0, 0] as [Float])])
    let x = Tensor([[3, 0], [0, 3], [0, 1], [5, 0]] as [[Float]])
    let found = try #require(try Mistakes(model, LabelledData(x, Tensor([0, 0, 0, 1] as [Int32]))))
    #expect(found.matrix == [[1, 2], [1, 0]])
    #expect(found.worst.map(\.row) == [3, 1, 2])
    #expect(try Mistakes(model, LabelledData(x, Tensor([0.5, 0, 1, 1] as [Float]))) == nil)
  }
}
