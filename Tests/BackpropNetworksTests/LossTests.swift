import Backprop
import Testing

@testable import BackpropNetworks

@Suite("Losses") struct LossTests {
  static let cases = Golden("losses").cases + Golden("further_losses").cases

  @Test("Keras' values and gradients", arguments: cases)
  func kerasValues(_ golden: GoldenCase) throws {
    let loss = Loss(className: golden.text("loss"), config: golden.config("config"))
    let labels = golden.tensor("y_true")
    let weights = golden.has("sample_weight") ? golden.tensor("sample_weight") : nil
    let activation =
      golden.has("activation") ? try ActivationFunction(named: golden.text("activation")) : .linear
    let predictions = golden.tensor("y_pred")
    let value = loss(labels, activation(predictions), sampleWeights: weights)
    expectClose(value, golden.tensor("value"), atol: 1e-6, rtol: 1e-6, "value")
    let gradient = gradient(at: predictions) { loss(labels, activation($0), sampleWeights: weights).sum() }
    let tolerance = golden.values["gradient_tolerance"] as? Double ?? 1e-5
    expectClose(gradient, golden.tensor("gradient"), atol: tolerance, rtol: 1e-5, "gradient")
  }

  @Test("every one of Keras' losses has goldens, and a name that means it", arguments: Loss.Kind.allCases)
  func everyKind(_ kind: Loss.Kind) throws {
    #expect(Self.cases.contains { $0.text("loss") == kind.rawValue })
    #expect(try Loss(named: KerasNaming.snake(kind.rawValue)).kind == kind)
  }

  private static let misfits: [(Loss, Shape, Shape, String)] = [
    (
      Loss.mse, Shape([10, 1]), Shape([10, 8]),
      "mean_squared_error: labels of shape [10, 1] against predictions of shape [10, 8]: they would broadcast; give each row as many labels as it has predictions"
    ),
    (
      Loss.mse, [10, 3], [10, 8],
      "mean_squared_error: labels of shape [10, 3] against predictions of shape [10, 8]; they must be alike"
    ),
    (
      Loss.categoricalCrossentropy, [10], [10, 8],
      "categorical_crossentropy: labels of shape [10] against predictions of shape [10, 8]; labels that are class numbers need .sparseCategoricalCrossentropy, or oneHot(classes: 8)"
    ),
    (
      Loss.sparseCategoricalCrossentropy, [10, 8], [10, 8],
      "sparse_categorical_crossentropy: expected one class number in 0..<8 for each row, of shape [10], got labels of shape [10, 8]; labels with one column for each class need .categoricalCrossentropy"
    ),
    (
      Loss.circle, [10, 3], [10, 8],
      "circle: expected predictions of [batch, size] and one class number for each row, got labels of shape [10, 3] against predictions of shape [10, 8]"
    ),
    (
      Loss.ctc, [10], [10, 20, 8],
      "ctc: expected labels of [batch, longest] and predictions of [batch, frames, classes], got labels of shape [10] against predictions of shape [10, 20, 8]"
    ),
  ]

  @Test("an argument outside its range is refused by name")
  func arguments() {
    #expect(
      message { _ = try Loss.categoricalGeneralizedCrossEntropy(q: 1).resolved() }
        == "CategoricalGeneralizedCrossEntropy: expected 'q' between 0 and 1, got 1.0")
    #expect(
      message { _ = try Loss.binaryCrossentropy(labelSmoothing: 2).resolved() }
        == "BinaryCrossentropy: expected label smoothing in 0...1, got 2.0")
  }

  @Test("what would broadcast, or isn't a class number, is refused", arguments: misfits)
  func shapes(_ loss: Loss, _ labels: Shape, _ predictions: Shape, _ expected: String) {
    #expect(
      message {
        try loss.check(labels: TensorType(labels, .float32), predictions: TensorType(predictions, .float32))
      } == expected)
  }

  @Test("[n] and [n, 1] are the same labels")
  func columns() {
    let loss = Loss.mse
    let (a, b) = (Tensor([1, 2, 3] as [Float]), Tensor([2, 4, 3] as [Float]))
    #expect(loss(a, b.expanded(axis: 1)).item() == loss(a.expanded(axis: 1), b.expanded(axis: 1)).item())
    #expect(abs(loss(a, b.expanded(axis: 1)).item() - 5.0 / 3) < 1e-6)
  }

  @Test("a row of zeros has a cosine of 0 with anything, and Keras' gradient")
  func cosineOfNothing() {
    let labels = Tensor.ones([2, 3])
    let (value, gradients) = valueAndGradient(at: [Tensor.zeros([2, 3])]) {
      Loss.cosineSimilarity(labels, $0[0]) * 2
    }
    #expect(value.item() == 0)
    for g in gradients[0].floats { #expect(abs(g / -5.7735025e6 - 1) < 1e-5) }
  }
}
