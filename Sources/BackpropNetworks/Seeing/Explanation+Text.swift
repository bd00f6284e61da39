import Foundation

extension Explanation {
  /// More rows or columns than this are left out of tables.
  private static let most = 8

  /// The four steps for a terminal.
  public var text: String {
    var lines: [String] = []
    func title(_ words: String) { lines += lines.isEmpty ? [words] : ["", words] }
    title("1. Forward: each layer computes z = input · W + b, then a = activation(z)")
    for (index, layer) in layers.enumerated() {
      if index == 0 { lines.append("   input           \(Self.row(layer.input))") }
      lines.append("   \(layer.name), \(layer.activation)")
      lines.append("     z             \(Self.row(layer.weightedInput))")
      lines.append("     a             \(Self.row(layer.output))")
    }
    title("2. Loss: how far the output is from the target")
    lines.append("   target          \(Self.row(target))")
    lines.append("   \(lossName)  \(Self.number(loss))")
    title("3. Backward: δ = ∂loss/∂z of each layer, from the last to the first")
    for layer in layers.reversed() {
      lines.append("   \(layer.name): \(layer.rule)")
      lines.append("     δ             \(Self.row(layer.delta))")
    }
    title(
      "4. Update: w ← w − \(Self.number(learningRate)) · ∂loss/∂w, where ∂loss/∂W = input · δ and ∂loss/∂b = δ"
    )
    for layer in layers {
      for (row, input) in layer.input.indices.prefix(Self.most).map({ ($0, layer.input[$0]) }) {
        lines.append("   \(layer.name) W[\(row)], input \(Self.number(input))")
        lines.append("     gradient      \(Self.row(layer.kernelGradient[row]))")
        lines.append("     before        \(Self.row(layer.kernel[row]))")
        lines.append("     after         \(Self.row(layer.newKernel[row]))")
      }
      if layer.input.count > Self.most { lines.append("   … and \(layer.input.count - Self.most) rows more") }
      guard !layer.bias.isEmpty else { continue }
      lines.append("   \(layer.name) b")
      lines.append("     gradient      \(Self.row(layer.delta))")
      lines.append("     before        \(Self.row(layer.bias))")
      lines.append("     after         \(Self.row(layer.newBias))")
    }
    lines += ["", "The loss on this sample was \(Self.number(loss)) and is now \(Self.number(newLoss))."]
    return lines.joined(separator: "\n")
  }

  private static func row(_ values: [Double]) -> String {
    let shown = values.prefix(most).map { number($0) }.map {
      String(repeating: " ", count: max(0, 10 - $0.count)) + $0
    }
    let rest = values.count > most ? "  … \(values.count - most) more" : ""
    return shown.joined(separator: " ") + rest
  }

  static func number(_ value: Double) -> String {
    let text = String(format: "%.5g", value)
    return text == "-0" ? "0" : text
  }
}
